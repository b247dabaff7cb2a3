//! The consumer of the queue: runs tasks.

use async_service::tasks::executor::Executor;
use async_service::tasks::runner::Runner;
use async_service::{App, Error, jobs};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let executor = Executor {
        tasks: app.tasks()?,
        queue: app.queue()?,
        dead_letters: app.dead_letters()?,
        jobs: jobs::registry(&app)?,
        runner: Runner::start()?.into(),
        lease: app.config().lease()?,
        worker: app.config().worker_name(),
    };
    app.connect().await;
    lambda_runtime::run(service_fn(|event| work(&executor, event))).await
}

async fn work(
    executor: &Executor,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    Ok(executor
        .run_batch(event.payload.records, event.context.deadline)
        .await)
}
