//! The consumer of undelivered messages: moved out of the task queues after too many receives, or not sent
//! by EventBridge Scheduler. Fails their tasks, and moves the messages to the dead-letter queue.

use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let handler = app.dead_letter_handler()?;
    app.consume(async |batch, _| handler.run_batch(batch).await)
        .await
}
