//! The consumer of what the task queues give up on: fails the tasks, and keeps the messages.

use async_service::tasks::dead_letter::DeadLetterHandler;
use async_service::{App, Error};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.metrics();
    let handler = DeadLetterHandler {
        tasks: app.tasks()?,
        dead_letters: app.dead_letters()?,
    };
    app.connect().await;
    lambda_runtime::run(service_fn(|event| take(&handler, event))).await
}

async fn take(
    handler: &DeadLetterHandler,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    Ok(handler.run_batch(event.payload.records).await)
}
