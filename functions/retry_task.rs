//! `POST /tasks/{task_id}/retry`: runs a task again that ended without a result.

use async_service::http::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::http::{self, Answer, HttpError, Request, StatusCode};
use async_service::store::TaskStore;
use async_service::store::tasks::{NextRun, Restarted};
use async_service::tasks::submit::Submitter;
use async_service::tasks::view::AcceptedTask;
use async_service::{App, Error};
use uuid::Uuid;

const ROUTE: &str = "/tasks/{task_id}/retry";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let tasks = app.tasks()?;
    let parts = (Submitter::new(app.queue()?, tasks.clone()), tasks);
    http::serve(&app, ROUTE, parts, retry_task).await
}

/// Runs a failed, cancelled or expired task again, at once and under the same id.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e")),
    responses((status = 202, body = AcceptedTask, description = "It waits for a worker",
        headers(("Location" = String, description = "The path of the task"))),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        (status = 409, body = ErrorDetail, description = "It has not ended, or is completed",
            example = json!({"detail": "The task is running"})),
        Invalid, Unavailable),
)]
pub async fn retry_task(
    (submitter, tasks): &(Submitter, TaskStore),
    request: Request,
) -> Result<Answer, HttpError> {
    let unknown = || HttpError::not_found("Task not found");
    let conflict = |detail: String| HttpError::new(StatusCode::CONFLICT, detail);
    let id = Uuid::parse_str(request.path_text("task_id")).map_err(|_| unknown())?;
    if request.only_of().is_some() {
        let record = tasks.peek(id).await?;
        let record = record.filter(|record| request.may_see(record.caller.as_deref()));
        record.ok_or_else(unknown)?;
    }
    let task = match tasks.next_run(id).await? {
        NextRun::Ready(task) => *task,
        NextRun::Refused(state) => return Err(conflict(format!("The task is {state}"))),
        NextRun::WithoutInput => {
            return Err(conflict("The task's input is not known".to_owned()));
        }
        NextRun::Unknown => return Err(unknown()),
    };
    let job = task.job.clone();
    match submitter.run_again(task).await? {
        Restarted::Written => {
            let path = format!("{}/tasks/{id}", request.prefix());
            let accepted = AcceptedTask::new(id, job, None);
            Ok(Answer::json(StatusCode::ACCEPTED, &accepted).at(&path))
        }
        Restarted::Refused => Err(conflict("The task was run again already".to_owned())),
    }
}
