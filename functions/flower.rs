//! Flower's REST API under `/api/`, with `/healthcheck` and `/metrics`.

use async_service::web::flower::Flower;
use async_service::web::{Access, Body, HttpError, Request, Response};
use async_service::{App, Error};

const ROUTE: &str = "/api/{area}";

/// The routes that others than callers may use.
const OPEN: [(Access, &str); 2] = [
    (Access::Everybody, "GET /healthcheck"),
    (Access::Metrics, "GET /metrics"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let flower = app.flower()?;
    app.serve_undocumented(&OPEN, ROUTE, flower, flower_api)
        .await
}

async fn flower_api(flower: &Flower, request: Request) -> Result<Response<Body>, HttpError> {
    flower.answer(&request).await
}
