//! `POST /tasks/{task_id}/progress`: takes a report of the body of a running task.

use async_service::remote::progress::ProgressTokens;
use async_service::tasks::client::{Reported, Reporter};
use async_service::web::guard::Access;
use async_service::web::openapi::{ErrorDetail, InvalidBody, Unavailable};
use async_service::web::progress::{NewProgressSchema, report};
use async_service::web::task_view::{task_id, unknown_task};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/{task_id}/progress";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.reporter()?, app.progress_tokens());
    app.serve_to(Access::Everybody, ROUTE, parts, report_progress)
        .await
}

/// Takes a report of the progress of a running task. The URL comes with the request to the task's body, and
/// its token is good for one attempt; callers need no key.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e"),
        ("token" = String, Query, description = "As in the URL that the body was given")),
    request_body(content = NewProgressSchema),
    responses((status = 204, description = "The report is kept"),
        (status = 404, body = ErrorDetail, description = "The token is not good for the task",
            example = json!({"detail": "Task not found"})),
        (status = 409, body = ErrorDetail, description = "The attempt has ended, or is to be cancelled",
            example = json!({"detail": "The attempt has ended"})),
        InvalidBody, Unavailable),
)]
pub async fn report_progress(
    (reporter, tokens): &(Reporter, Option<ProgressTokens>),
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let id = task_id(&request)?;
    let (token, progress) = all((request.query_required("token"), report(&request)))?;
    let attempt = tokens.as_ref().and_then(|tokens| tokens.read(&id, &token));
    let attempt = attempt.ok_or_else(unknown_task)?;
    let (run, number) = (attempt.run, attempt.attempt);
    match reporter.report(&id, run, number, &progress).await? {
        Reported::Written => Ok(answer::no_content()),
        Reported::Ended => Err(HttpError::conflict("The attempt has ended")),
        Reported::Unknown => Err(unknown_task()),
    }
}
