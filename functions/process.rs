//! `POST /process/`: queues a `process_data` task for any JSON object.

use async_service::http::{self, Answer, HttpError, Request, all};
use async_service::items;
use async_service::jobs::ProcessData;
use async_service::tasks::job::Job;
use async_service::tasks::submit::Submitter;
use async_service::{App, Error};
use serde_json::json;

const ROUTE: &str = "/process";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let submitter = Submitter::new(app.queue()?, app.tasks()?);
    http::serve(ROUTE, submitter, process).await
}

async fn process(submitter: &Submitter, request: Request) -> Result<Answer, HttpError> {
    let (data,) = all((request.body_object(),))?;
    let input = items::raw(items::document(data)?)?;
    let task_id = submitter.submit(ProcessData::NAME, input).await?;
    Ok(Answer::ok(&json!({ "task_id": task_id })))
}
