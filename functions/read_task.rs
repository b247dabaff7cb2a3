//! `GET /tasks/{task_id}?wait=`: all that is known of a task, at once or when it has ended.

use std::time::{Duration, Instant};

use async_service::http::openapi::{ErrorDetail, Invalid, TooLargeAnswer, Unavailable};
use async_service::http::{self, Answer, Checked, FieldError, HttpError, Request, all};
use async_service::ids::now_ms;
use async_service::json::Json;
use async_service::store::TaskStore;
use async_service::tasks::view::TaskView;
use async_service::{App, Error};
use uuid::Uuid;

const ROUTE: &str = "/tasks/{task_id}";
/// The longest wait in seconds: an HTTP API gives up after 30.
const MAX_WAIT: i64 = 20;
/// How long the first look at a waiting task lasts; each further one lasts longer, up to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let tasks = app.tasks()?;
    http::serve(&app, ROUTE, tasks, read_task).await
}

/// All that is known of a task. With `wait`, the answer comes when the task has ended, or after so many
/// seconds.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e"),
        ("wait" = Option<i64>, Query, description = "Seconds to wait for its end, at most 20",
            minimum = 0, maximum = 20)),
    responses((status = 200, body = TaskView, description = "The task"),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        Invalid, TooLargeAnswer, Unavailable),
)]
pub async fn read_task(tasks: &TaskStore, request: Request) -> Result<Answer, HttpError> {
    let (wait,) = all((wait(&request),))?;
    let unknown = || HttpError::not_found("Task not found");
    // Any text may be asked for; what is no UUID was never issued.
    let id = Uuid::parse_str(request.path_text("task_id")).map_err(|_| unknown())?;
    let until = Instant::now() + wait;
    let mut pause = FIRST_PAUSE;
    let peeked = loop {
        let peeked = tasks.look_at(id).await?;
        let peeked = peeked.filter(|peeked| request.may_see(peeked.record.caller.as_deref()));
        let peeked = peeked.ok_or_else(unknown)?;
        let left = until.saturating_duration_since(Instant::now());
        if peeked.record.state.is_final() || left.is_zero() {
            break peeked;
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    };
    let record = tasks.whole(peeked).await?;
    Ok(Answer::ok(&TaskView::new(record, now_ms())))
}

fn wait(request: &Request) -> Checked<Duration> {
    let wait = request.query_int("wait", 0)?;
    let given = wait
        .as_i64()
        .unwrap_or(if wait.is_negative() { -1 } else { i64::MAX });
    let bound = |kind, name, limit: i64| {
        let word = if name == "ge" { "greater" } else { "less" };
        let loc = ["query".into(), "wait".into()];
        let msg = format!("Input should be {word} than or equal to {limit}");
        let given = request.query_text("wait").unwrap_or_default();
        let ctx = Json::object([(name, Json::from(limit))]);
        FieldError::new(kind, loc, msg, given).with_ctx(ctx)
    };
    match u64::try_from(given) {
        Err(_) => Err(bound("greater_than_equal", "ge", 0).into()),
        Ok(_) if given > MAX_WAIT => Err(bound("less_than_equal", "le", MAX_WAIT).into()),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
    }
}
