//! `GET /openapi.json`: the OpenAPI document of all routes.

use async_service::web::docs;
use async_service::web::{Access, Body, HttpError, Request, Response};
use async_service::{App, Error};

const ROUTE: &str = "/openapi.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.serve_to(Access::Documentation, ROUTE, (), openapi)
        .await
}

async fn openapi((): &(), request: Request) -> Result<Response<Body>, HttpError> {
    Ok(docs::document(&request))
}
