//! `$default`: what no route takes, with FastAPI's 404, 405 and slash redirects.

use async_service::http::{self, Answer, HttpError, Request};
use async_service::routes::Routes;
use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let routes = Routes::below(App::from_env()?.config().base_path());
    http::serve("$default", routes, fallback).await
}

async fn fallback(routes: &Routes, request: Request) -> Result<Answer, HttpError> {
    routes.answer(&request)
}
