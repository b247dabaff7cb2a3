//! The subscriber of the topic of Celery's remote control: answers the commands of Celery's clients as one
//! worker, and revokes tasks.

use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let control = app.celery_control()?;
    app.notified(async |message| control.handle(message).await)
        .await
}
