//! `$default`: what no route takes, with FastAPI's 404 and 405.

use async_service::http::{self, Answer, HttpError, Request};
use async_service::routes;
use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    App::from_env()?;
    http::serve("$default", (), fallback).await
}

async fn fallback((): &(), request: Request) -> Result<Answer, HttpError> {
    Err(routes::refuse(&request.path))
}
