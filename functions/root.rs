//! `GET /`: a greeting.

use async_service::http::{self, Access, Answer, HttpError, Request};
use async_service::{App, Error};
use serde_json::json;

const ROUTE: &str = "/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    http::serve_to(&app, Access::Documentation, ROUTE, (), root).await
}

/// A greeting.
#[utoipa::path(
    get, path = ROUTE, tag = "service",
    responses((status = 200, body = Object, description = "The greeting",
        example = json!({"message": "Welcome to the async service"}))),
)]
pub async fn root((): &(), _: Request) -> Result<Answer, HttpError> {
    Ok(Answer::ok(
        &json!({ "message": "Welcome to the async service" }),
    ))
}
