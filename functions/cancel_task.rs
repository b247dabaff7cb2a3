//! `DELETE /tasks/{task_id}`: cancels a task.

use async_service::http::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::http::{self, Answer, HttpError, Request, StatusCode};
use async_service::ids::now_ms;
use async_service::metrics;
use async_service::schedule::Schedules;
use async_service::store::TaskStore;
use async_service::store::tasks::{Cancelled, TaskRecord};
use async_service::tasks::state::State;
use async_service::tasks::view::TaskView;
use async_service::{App, Error};
use uuid::Uuid;

const ROUTE: &str = "/tasks/{task_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.metrics();
    let parts = (app.tasks()?, app.schedules()?);
    http::serve(&app, ROUTE, parts, cancel_task).await
}

/// Cancels a task: at once where no worker has it; else its worker stops it within a heartbeat. A
/// cancelled task never completes.
#[utoipa::path(
    delete, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e")),
    responses((status = 200, body = TaskView, description = "It is cancelled"),
        (status = 202, body = TaskView, description = "It runs, and will be stopped"),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        (status = 409, body = ErrorDetail, description = "It has ended in another way",
            example = json!({"detail": "The task is completed"})),
        Invalid, Unavailable),
)]
pub async fn cancel_task(
    (tasks, schedules): &(TaskStore, Option<Schedules>),
    request: Request,
) -> Result<Answer, HttpError> {
    let unknown = || HttpError::not_found("Task not found");
    let id = Uuid::parse_str(request.path_text("task_id")).map_err(|_| unknown())?;
    if request.only_of().is_some() {
        let record = tasks.peek(id).await?;
        let record = record.filter(|record| request.may_see(record.caller.as_deref()));
        record.ok_or_else(unknown)?;
    }
    let cancelled = tasks.cancel(id).await?;
    let status = match cancelled {
        // Whoever repeats a request whose answer was lost is told the same.
        Cancelled::Now | Cancelled::Ended(State::Cancelled) => StatusCode::OK,
        Cancelled::Requested => StatusCode::ACCEPTED,
        Cancelled::Unknown => return Err(unknown()),
        Cancelled::Ended(state) => {
            let detail = format!("The task is {state}");
            return Err(HttpError::new(StatusCode::CONFLICT, detail));
        }
    };
    let record = tasks.peek(id).await?.ok_or_else(unknown)?;
    if let (Some(schedules), Some(eta)) = (schedules, record.options.eta)
        && eta > now_ms()
    {
        unschedule(schedules, &record).await;
    }
    if cancelled == Cancelled::Now {
        let job = record.job.as_deref().unwrap_or("unknown");
        metrics::reached(job, State::Cancelled);
    }
    Ok(Answer::json(status, &TaskView::new(record, now_ms())))
}

/// Deletes the schedule of a cancelled task. Where that fails, its message will be dropped.
async fn unschedule(schedules: &Schedules, record: &TaskRecord) {
    let deleted = schedules.delete(record.id, record.fingerprint.as_deref());
    if let Err(error) = deleted.await {
        tracing::warn!(task_id = %record.id, %error, "a schedule stays");
    }
}
