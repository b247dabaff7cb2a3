//! `GET /tasks/?state=&job=&limit=&cursor=`: tasks, newest first, with a `Link` to the next page.

use async_service::clock::now_ms;
use async_service::tasks::client::Reader;
use async_service::web::cursor::Cursor;
use async_service::web::openapi::{Invalid, Unavailable};
use async_service::web::page::with_next;
use async_service::web::task_view::{TaskState, TaskView, task_query};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.reader()?, Cursor::of("tasks"));
    app.serve(ROUTE, parts, list_tasks).await
}

/// Tasks, newest first, without their results and attempts. The `Link` header leads to the next page; a
/// page may hold fewer tasks than its limit, or none, where those that are asked for are rare. The list
/// follows the tasks within moments.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("state" = Option<TaskState>, Query, description = "Only tasks in this state"),
        ("job" = Option<String>, Query, description = "Only tasks of this job"),
        ("limit" = Option<i64>, Query, description = "How many at most, from 1 to 100"),
        ("cursor" = Option<String>, Query, description = "Where the page begins: what the `Link` header of the page before says")),
    responses((status = 200, body = Vec<TaskView>, description = "The tasks",
        headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, Unavailable),
)]
pub async fn list_tasks(
    (tasks, cursors): &(Reader, Cursor),
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (query,) = all((task_query(&request, cursors),))?;
    let (records, next) = tasks.list(request.viewer(), &query).await?;
    let now = now_ms();
    let views = records.into_iter();
    let views: Vec<TaskView> = views.map(|record| TaskView::listed(record, now)).collect();
    let next = next.map(|position| cursors.seal_text(&position.0));
    Ok(with_next(answer::ok(&views), &request, next))
}
