//! `GET /openapi.json`: the OpenAPI document of all routes.

use async_service::http::{self, Access, Answer, HttpError, Request};
use async_service::{App, Error, docs};

const ROUTE: &str = "/openapi.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    http::serve_to(&app, Access::Documentation, ROUTE, (), openapi).await
}

async fn openapi((): &(), request: Request) -> Result<Answer, HttpError> {
    Ok(docs::document(&request))
}
