//! The consumer of the task queues: runs tasks.

use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let worker = app.worker()?;
    app.consume(async |batch, deadline| worker.run_batch(batch, deadline).await)
        .await
}
