//! `POST /tasks/{task_id}/retry`: runs a task without a result again.

use async_service::tasks::client::{RetryOutcome, Submitter};
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::web::task_view::{AcceptedTask, task_id, task_path, unknown_task};
use async_service::web::{
    Body, Extract, HttpError, Request, Response, ResponseExt, StatusCode, answer,
};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/{task_id}/retry";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let submitter = app.submitter()?;
    app.serve(ROUTE, submitter, retry_task).await
}

/// Runs a failed, cancelled or expired task again, at once and under the same id.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e")),
    responses((status = 202, body = AcceptedTask, description = "The task waits for a worker",
        headers(("Location" = String, description = "The path of the task"))),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        (status = 409, body = ErrorDetail, description = "The task has not ended, is completed, or has effects left",
            example = json!({"detail": "The task is running"})),
        Invalid, Unavailable),
)]
pub async fn retry_task(
    submitter: &Submitter,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let id = task_id(&request)?;
    let refusal = match submitter.retry(request.viewer(), &id).await? {
        RetryOutcome::Accepted(accepted) => {
            let path = task_path(&request, &accepted.id);
            let accepted = AcceptedTask::from(accepted);
            return Ok(answer::json(StatusCode::ACCEPTED, &accepted).at(&path));
        }
        RetryOutcome::Refused(state) => format!("The task is {state}"),
        RetryOutcome::EffectsLeft => "What the task's end sets off is not done yet".to_owned(),
        RetryOutcome::WithoutInput => "The task's input is not known".to_owned(),
        RetryOutcome::Overtaken => "The task was run again already".to_owned(),
        RetryOutcome::Unknown => return Err(unknown_task()),
    };
    Err(HttpError::conflict(refusal))
}
