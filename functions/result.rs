//! `GET /result/{task_id}`: what became of a task.

use async_service::http::{self, Answer, HttpError, Request};
use async_service::store::TaskStore;
use async_service::tasks::result::TaskResult;
use async_service::{App, Error};
use uuid::Uuid;

const ROUTE: &str = "/result/{task_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let tasks = App::from_env()?.tasks()?;
    http::serve(ROUTE, tasks, result).await
}

async fn result(tasks: &TaskStore, request: Request) -> Result<Answer, HttpError> {
    // Any text may be asked for; what is no UUID was never issued.
    let record = match Uuid::parse_str(&request.path_text("task_id")) {
        Ok(id) => tasks.get(id).await?,
        Err(_) => None,
    };
    let record = record.ok_or_else(|| HttpError::not_found("Task not found"))?;
    Ok(Answer::ok(&TaskResult::from(record)))
}
