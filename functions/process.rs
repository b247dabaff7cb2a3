//! `POST /process/`: queues a `process_data` task for any JSON object.

use async_service::jobs::ProcessData;
use async_service::tasks::client::Submitter;
use async_service::tasks::job::Job;
use async_service::web::openapi::{InvalidBody, Unavailable};
use async_service::web::result_view::Accepted;
use async_service::web::submission::new_task;
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/process/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let submitter = app.submitter()?;
    app.serve(ROUTE, submitter, process).await
}

/// Queues a `process_data` task for any JSON object. The task profiles the object, or the file at its
/// `source_url` if the object has no keys beside `source_url` and the options of reading a file, such as
/// `{"source_url": "https://example.com/people.csv", "format": "csv"}`.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    request_body(content = Object, example = json!({"values": [1, 2, 3]})),
    responses((status = 200, body = Accepted, description = "The id of the task"),
        InvalidBody, Unavailable),
)]
pub async fn process(submitter: &Submitter, request: Request) -> Result<Response<Body>, HttpError> {
    let (data,) = all((request.body_object_lossy(),))?;
    let mut task = new_task(ProcessData::NAME, data, request.caller())?;
    task.trace = request.trace();
    let task_id = submitter.submit(task).await?.id;
    Ok(answer::ok(&Accepted { task_id }))
}
