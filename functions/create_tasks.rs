//! `POST /tasks/batch`: queues up to 1,000 tasks.

use async_service::clock::now_ms;
use async_service::jobs::CATALOG;
use async_service::remote::bodies::Bodies;
use async_service::tasks::client::Submitter;
use async_service::web::batch::{Batch, BatchSchema, BatchView};
use async_service::web::openapi::{InvalidBody, Unavailable};
use async_service::web::submission::SubmissionIds;
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/batch";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let bodies = app.remote_jobs()?;
    let parts = (app.delaying_submitter()?, app.submission_ids(), bodies);
    app.serve(ROUTE, parts, create_tasks).await
}

/// Queues up to 1,000 tasks. Each task has its own outcome, which is the answer of `POST /tasks/`: a task with an
/// error does not hinder the others. A task with an idempotency key may be repeated.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    request_body(content = BatchSchema),
    responses((status = 200, body = BatchView, description = "The outcome of each task, in order"),
        InvalidBody, Unavailable),
)]
pub async fn create_tasks(
    (submitter, ids, bodies): &(Submitter, SubmissionIds, Bodies),
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let now = now_ms();
    let (batch,) = all((Batch::read(&request, (CATALOG, bodies), now),))?;
    let (caller, trace) = (request.caller(), request.trace());
    let submitted = batch.submit(submitter, *ids, caller, trace.as_ref(), now);
    let outcomes = submitted.await;
    Ok(answer::ok(&outcomes))
}
