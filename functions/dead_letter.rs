//! The consumer of the messages that the task queues give up: fails their tasks, and keeps the
//! messages.

use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let handler = app.dead_letter_handler()?;
    app.consume(async |batch, _| handler.run_batch(batch).await)
        .await
}
