//! `GET /docs`: Swagger UI for the OpenAPI document. `GET /docs/{file}`: the files of the page.

use async_service::web::docs::Page;
use async_service::web::{Access, Body, HttpError, Request, Response};
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
    // The style sheet of Swagger UI contains its icons as images.
    policy: "style-src 'self'; img-src data:",
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.serve_to(Access::Documentation, ROUTE, (), docs).await
}

async fn docs((): &(), request: Request) -> Result<Response<Body>, HttpError> {
    PAGE.serve(&request)
}
