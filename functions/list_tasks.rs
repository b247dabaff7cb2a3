//! `GET /tasks/`: the tasks that fit a filter, newest first, with a `Link` to the next page.

use async_service::clock::now_ms;
use async_service::tasks::client::Reader;
use async_service::web::cursor::Cursor;
use async_service::web::openapi::{Invalid, Unavailable};
use async_service::web::page::with_next;
use async_service::web::task_filter::FilterParams;
use async_service::web::task_view::{TaskView, task_query};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/tasks/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.reader()?, Cursor::of("tasks"));
    app.serve(ROUTE, parts, list_tasks).await
}

/// The tasks that fit all given parameters, newest first, without results and attempts. The `Link` header leads to the next page. A page may
/// have fewer tasks than its limit, or none, if few tasks match. The list is eventually consistent, and
/// shows a change within moments.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(FilterParams,
        ("limit" = Option<i64>, Query, description = "The most tasks of the page, from 1 to 100"),
        ("cursor" = Option<String>, Query, description = "The start of the page: the cursor in the `Link` header of the previous page")),
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
