//! `GET /redoc`: Redoc for the OpenAPI document. `GET /redoc/{file}`: the files of the page.

use async_service::web::docs::Page;
use async_service::web::{Access, Body, HttpError, Request, Response};
use async_service::{App, Error};

const ROUTE: &str = "/redoc/{file}";

const PAGE: Page = Page {
    title: "Redoc",
    path: "/redoc",
    element: "redoc",
    files: &[docs_ui::PAGE_CSS, docs_ui::REDOC_JS, docs_ui::REDOC_START],
    // The first hash permits empty style elements, to which Redoc then adds rules. Adding rules needs
    // no permission. The second hash permits the style of Redoc's scroll bars. For another version of
    // Redoc, Chromium's console shows the new hash. Redoc searches in a worker made from a blob.
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
