//! `GET /redoc`: Redoc on the OpenAPI document; `GET /redoc/{file}`: its files.

use async_service::docs::Page;
use async_service::http::{self, Answer, HttpError, Request};
use async_service::{App, Error};

const ROUTE: &str = "/redoc/{file}";

const PAGE: Page = Page {
    title: "Redoc",
    path: "/redoc",
    element: "redoc",
    files: &[docs_ui::REDOC_JS, docs_ui::REDOC_START],
    // It writes its styles as it goes, and searches in a worker that it makes of a text.
    policy: "style-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src blob:",
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    App::from_env()?;
    http::serve(ROUTE, (), redoc).await
}

async fn redoc((): &(), request: Request) -> Result<Answer, HttpError> {
    PAGE.serve(&request)
}
