//! `POST /tasks/cancel`, `POST /tasks/retry`: cancels or retries all tasks that fit a filter.

use async_service::clock::now_ms;
use async_service::jobs::BulkSeal;
use async_service::tasks::client::{BulkAction, BulkClient, Submitter};
use async_service::web::bulk::{BulkRequest, BulkSchema, BulkView, bulk_action, unsealed};
use async_service::web::openapi::{InvalidBody, Unavailable};
use async_service::web::task_view::{AcceptedTask, task_path};
use async_service::web::{
    Body, Extract, HttpError, Request, Response, ResponseExt, StatusCode, all, answer,
};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/cancel";

type Parts = (BulkClient, Submitter, BulkSeal);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.bulk_client()?, app.submitter()?, app.bulk_seal()?);
    app.serve(ROUTE, parts, async |parts, request| {
        match bulk_action(&request) {
            BulkAction::Cancel => cancel_tasks(parts, request).await,
            BulkAction::Retry => retry_tasks(parts, request).await,
        }
    })
    .await
}

/// Cancels all tasks that fit a filter and have not ended. One request is a bounded step; the same request
/// with the cursor of the answer goes on. A repeated request is harmless. Tasks that were accepted after the
/// first request are left alone.
#[utoipa::path(
    post, path = "/tasks/cancel", tag = "tasks",
    request_body(content = BulkSchema),
    responses((status = 200, body = BulkView, description = "The numbers of this step"),
        (status = 202, body = AcceptedTask, description = "A task cancels all of them. Its progress is the number of tasks that it has found, and its result has the numbers of all steps",
        headers(("Location" = String, description = "The path of the task"))),
        InvalidBody, Unavailable),
)]
pub async fn cancel_tasks(parts: &Parts, request: Request) -> Result<Response<Body>, HttpError> {
    change_tasks(parts, BulkAction::Cancel, &request).await
}

/// Runs all tasks that fit a filter again: the failed ones, or the cancelled or expired ones if the filter's
/// state says so. One request is a bounded step; the same request with the cursor of the answer goes on. A
/// task that fails again after the first request is not retried a second time.
#[utoipa::path(
    post, path = "/tasks/retry", tag = "tasks",
    request_body(content = BulkSchema),
    responses((status = 200, body = BulkView, description = "The numbers of this step"),
        (status = 202, body = AcceptedTask, description = "A task retries all of them. Its progress is the number of tasks that it has found, and its result has the numbers of all steps",
        headers(("Location" = String, description = "The path of the task"))),
        InvalidBody, Unavailable),
)]
pub async fn retry_tasks(parts: &Parts, request: Request) -> Result<Response<Body>, HttpError> {
    change_tasks(parts, BulkAction::Retry, &request).await
}

async fn change_tasks(
    (client, submitter, seal): &Parts,
    action: BulkAction,
    request: &Request,
) -> Result<Response<Body>, HttpError> {
    let now = now_ms();
    let (order,) = all((BulkRequest::read(request, action, now),))?;
    let BulkRequest {
        bulk,
        limit,
        after,
        background,
    } = order;
    let viewer = request.viewer();
    if background {
        let task = seal.task(bulk, viewer, after, request.caller(), now);
        let mut task = task.map_err(unsealed)?;
        task.trace = request.trace();
        let accepted = submitter.submit(task).await?;
        let accepted = AcceptedTask::from(accepted);
        let path = task_path(request, &accepted.task_id);
        return Ok(answer::json(StatusCode::ACCEPTED, &accepted).at(&path));
    }
    let step = client.step(viewer, &bulk, limit, after, None).await?;
    Ok(answer::ok(&BulkView::new(&bulk, step)))
}
