//! Called once a minute: submits the tasks of all schedules that are due until the next call.

use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let ticker = app.ticker()?;
    app.timed(async |deadline| ticker.tick(deadline).await.map(drop))
        .await
}
