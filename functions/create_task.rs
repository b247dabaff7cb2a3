//! `POST /tasks/`: queues a task of any job.

use async_service::http::openapi::{InvalidBody, Unavailable};
use async_service::http::{self, Answer, HttpError, Request, StatusCode, all};
use async_service::ids::now_ms;
use async_service::jobs::CATALOG;
use async_service::store::TaskStore;
use async_service::tasks::request::{NewTaskSchema, Submission};
use async_service::tasks::submit::{SubmitError, Submitter};
use async_service::tasks::task::Task;
use async_service::tasks::view::AcceptedTask;
use async_service::{App, Error};

const ROUTE: &str = "/tasks/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let tasks = app.tasks()?;
    let submitter = Submitter::new(app.queue()?, tasks.clone());
    let parts = (submitter.with_schedules(app.scheduling()?), tasks);
    http::serve(&app, ROUTE, parts, create_task).await
}

/// Queues a task of any job. With an `Idempotency-Key` it may be repeated: the same request is answered
/// by the same task, another one with the same key is refused.
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
    (submitter, tasks): &(Submitter, TaskStore),
    request: Request,
) -> Result<Answer, HttpError> {
    let now = now_ms();
    let (submission,) = all((Submission::read(&request, CATALOG, now),))?;
    let task = submission.task(request.caller(), now);
    let accepted = match &task.fingerprint {
        Some(_) => known(tasks, &task).await?,
        None => None,
    };
    let accepted = match accepted {
        Some(accepted) => accepted,
        None => {
            let (id, job, eta) = (task.id, task.job.clone(), task.options.eta);
            submitter.accept(task).await?;
            AcceptedTask::new(id, job, eta)
        }
    };
    let path = format!("{}/tasks/{}", request.prefix(), accepted.task_id);
    Ok(Answer::json(StatusCode::ACCEPTED, &accepted).at(&path))
}

/// The task that was accepted under the same key before.
async fn known(tasks: &TaskStore, task: &Task) -> Result<Option<AcceptedTask>, HttpError> {
    match tasks.peek(task.id).await? {
        None => Ok(None),
        Some(record) if record.fingerprint == task.fingerprint => Ok(Some(AcceptedTask::new(
            task.id,
            task.job.clone(),
            record.options.eta,
        ))),
        Some(_) => Err(SubmitError::Different.into()),
    }
}
