//! `GET /`: a greeting.

use async_service::web::{Access, Body, HttpError, Request, Response, answer};
use async_service::{App, Error};
use serde_json::json;

const ROUTE: &str = "/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.serve_to(Access::Documentation, ROUTE, (), root).await
}

/// A greeting.
#[utoipa::path(
    get, path = "/", tag = "service",
    responses((status = 200, body = Object, description = "The greeting",
        example = json!({"message": "Welcome to the async service"}))),
)]
pub async fn root((): &(), _: Request) -> Result<Response<Body>, HttpError> {
    Ok(answer::ok(
        &json!({ "message": "Welcome to the async service" }),
    ))
}
