//! `DELETE /tasks/{task_id}`: cancels a task.

use async_service::clock::now_ms;
use async_service::tasks::client::{CancelOutcome, Canceller};
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::web::task_view::{TaskView, task_id, unknown_task};
use async_service::web::{Body, Extract, HttpError, Request, Response, StatusCode, answer};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/{task_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let canceller = app.canceller()?;
    app.serve(ROUTE, canceller, cancel_task).await
}

/// Cancels a task. A waiting task is cancelled at once, a running task within a heartbeat of its worker.
/// A cancelled task never completes.
#[utoipa::path(
    delete, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e")),
    responses((status = 200, body = TaskView, description = "The task is cancelled"),
        (status = 202, body = TaskView, description = "The task runs, and its worker will stop it"),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        (status = 409, body = ErrorDetail, description = "The task has ended in another state",
            example = json!({"detail": "The task is completed"})),
        Invalid, Unavailable),
)]
pub async fn cancel_task(
    canceller: &Canceller,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let id = task_id(&request)?;
    let (status, record) = match canceller.cancel(request.viewer(), &id).await? {
        CancelOutcome::Done(record) => (StatusCode::OK, record),
        CancelOutcome::Requested(record) => (StatusCode::ACCEPTED, record),
        CancelOutcome::Refused(state) => {
            return Err(HttpError::conflict(format!("The task is {state}")));
        }
        CancelOutcome::Unknown => return Err(unknown_task()),
    };
    Ok(answer::json(status, &TaskView::new(record, now_ms())))
}
