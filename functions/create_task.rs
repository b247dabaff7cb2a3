//! `POST /tasks/`: queues a task of any job.

use async_service::clock::now_ms;
use async_service::jobs::CATALOG;
use async_service::remote::bodies::Bodies;
use async_service::tasks::client::Submitter;
use async_service::web::openapi::{InvalidBody, Unavailable};
use async_service::web::submission::{NewTaskSchema, Submission, SubmissionIds};
use async_service::web::task_view::{AcceptedTask, task_path};
use async_service::web::{
    Body, Extract, HttpError, Request, Response, ResponseExt, StatusCode, all, answer,
};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let bodies = app.remote_jobs()?;
    let parts = (app.delaying_submitter()?, app.submission_ids(), bodies);
    app.serve(ROUTE, parts, create_task).await
}

/// Queues a task of any job. A request with an `Idempotency-Key` may be repeated: the same request gets
/// the same task, and a different request with the same key is refused.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    params(("Idempotency-Key" = Option<String>, Header, example = "order-4711",
        min_length = 1, max_length = 255)),
    request_body(content = NewTaskSchema),
    responses((status = 202, body = AcceptedTask, description = "The task is accepted",
        headers(("Location" = String, description = "The path of the task"))),
        InvalidBody, Unavailable),
)]
pub async fn create_task(
    (submitter, ids, bodies): &(Submitter, SubmissionIds, Bodies),
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let now = now_ms();
    let (submission,) = all((Submission::read(&request, CATALOG, bodies, now),))?;
    let mut task = submission.task(*ids, request.caller(), now);
    task.trace = request.trace();
    let accepted = AcceptedTask::from(submitter.submit(task).await?);
    let path = task_path(&request, &accepted.task_id);
    Ok(answer::json(StatusCode::ACCEPTED, &accepted).at(&path))
}
