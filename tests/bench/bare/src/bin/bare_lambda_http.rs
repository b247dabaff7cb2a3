//! A minimal function with `lambda_http`: one route, one constant answer, and no set-up before the
//! first event.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(root)).await
}

/// `GET /` of the service.
async fn root(_: Request) -> Result<Response<Body>, Error> {
    let answer = Response::builder().header("content-type", "application/json");
    let body = r#"{"message":"Welcome to the async service"}"#;
    Ok(answer.body(body.into())?)
}
