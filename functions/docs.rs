//! `GET /docs`: Swagger UI on the OpenAPI document; `GET /docs/{file}`: its files.

use async_service::docs::Page;
use async_service::http::{self, Access, Answer, HttpError, Request};
use async_service::{App, Error};

const ROUTE: &str = "/docs/{file}";

const PAGE: Page = Page {
    title: "Swagger UI",
    path: "/docs",
    element: "swagger-ui",
    files: &[
        docs_ui::SWAGGER_UI_CSS,
        docs_ui::PAGE_CSS,
        docs_ui::SWAGGER_UI_JS,
        docs_ui::SWAGGER_UI_START,
    ],
    // Its icons are images inside of its style sheet.
    policy: "style-src 'self'; img-src data:",
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    http::serve_to(&app, Access::Documentation, ROUTE, (), docs).await
}

async fn docs((): &(), request: Request) -> Result<Answer, HttpError> {
    PAGE.serve(&request)
}
