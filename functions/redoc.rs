//! `GET /redoc`: Redoc on the OpenAPI document; `GET /redoc/{file}`: its files.

use async_service::web::docs::Page;
use async_service::web::{Access, Body, HttpError, Request, Response};
use async_service::{App, Error};

const ROUTE: &str = "/redoc/{file}";

const PAGE: Page = Page {
    title: "Redoc",
    path: "/redoc",
    element: "redoc",
    files: &[docs_ui::PAGE_CSS, docs_ui::REDOC_JS, docs_ui::REDOC_START],
    // It adds style elements that are empty (the first hash is that of nothing) and then rules to
    // them, which needs no permission; one element has the style of its scroll bars (the second
    // hash, which Chromium's console tells when another version of Redoc has another). It searches in a worker that it makes of a text.
    policy: "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
             'sha256-DLDPR1ic47WIdK2WyeLkblb/tm2mQH+Jt/NNhZWu1k0='; \
             img-src data:; worker-src blob:",
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.serve_to(Access::Documentation, ROUTE, (), redoc).await
}

async fn redoc((): &(), request: Request) -> Result<Response<Body>, HttpError> {
    PAGE.serve(&request)
}
