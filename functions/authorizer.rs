//! The gateway's authorizer: identifies the caller of a request before the route's function runs.

use async_service::auth::authorizer::{Authorizer, AuthorizerAnswer, AuthorizerRequest};
use async_service::{App, Error};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let authorizer = app.authorizer()?;
    app.connect().await;
    lambda_runtime::run(service_fn(|event| authorize(&authorizer, event))).await
}

async fn authorize(
    authorizer: &Authorizer,
    event: LambdaEvent<AuthorizerRequest>,
) -> Result<AuthorizerAnswer, Error> {
    Ok(authorizer.answer(&event.payload).await?)
}
