//! `GET /tasks/{task_id}?wait=&input=`: a task in full, at once or after the task's end.

use std::time::Duration;

use async_service::clock::now_ms;
use async_service::tasks::client::Reader;
use async_service::web::openapi::{ErrorDetail, Invalid, TooLargeAnswer, Unavailable};
use async_service::web::task_view::{TaskView, task_id, unknown_task};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/{task_id}";
/// The longest wait in seconds. An HTTP API ends a request after 30 s.
const MAX_WAIT: i64 = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let tasks = app.reader()?;
    app.serve(ROUTE, tasks, read_task).await
}

/// A task in full. With `wait`, the answer comes after the task's end, or after this number of seconds.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e"),
        ("wait" = Option<i64>, Query, description = "Seconds to wait for the task's end, at most 20",
            minimum = 0, maximum = 20),
        ("input" = Option<bool>, Query, description = "Whether the answer has the input of the job")),
    responses((status = 200, body = TaskView, description = "The task"),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        Invalid, TooLargeAnswer, Unavailable),
)]
pub async fn read_task(tasks: &Reader, request: Request) -> Result<Response<Body>, HttpError> {
    let (wait, has_input) = all((
        request.query_int_within("wait", 0, 0..=MAX_WAIT),
        request.query_flag("input"),
    ))?;
    let id = task_id(&request)?;
    let wait = Duration::from_secs(wait.unsigned_abs());
    let record = tasks.wait(request.viewer(), &id, wait).await?;
    let mut record = record.ok_or_else(unknown_task)?;
    let data = tasks.origin_data(request.viewer(), &mut record).await?;
    let input = match has_input {
        true => tasks.input(request.viewer(), &mut record).await?,
        false => None,
    };
    let view = TaskView::new(record, now_ms()).in_workflow(data.as_deref());
    let view = view.with_input(input);
    Ok(answer::ok(&view))
}
