//! `GET /tasks/?state=&job=&limit=&cursor=`: tasks, newest first, and a `Link` to the next page.

use async_service::http::openapi::{Invalid, Unavailable};
use async_service::http::{
    self, Answer, Checked, FieldError, HttpError, Request, all, header::LINK, next_link,
};
use async_service::ids::now_ms;
use async_service::json::Json;
use async_service::store::tasks::{ListQuery, TaskPosition};
use async_service::store::{Cursor, TaskStore};
use async_service::tasks::request::not_one_of;
use async_service::tasks::state::State;
use async_service::tasks::view::TaskView;
use async_service::{App, Error};

const ROUTE: &str = "/tasks/";
/// The most tasks of one page; a larger `limit` is answered with this many and a link to the rest.
const MAX_LIMIT: i64 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.tasks()?, Cursor::of("tasks"));
    http::serve(&app, ROUTE, parts, list_tasks).await
}

/// Tasks, newest first, without their results and attempts. The `Link` header leads to the next page; a
/// page may hold fewer tasks than its limit, or none, where those that are asked for are rare. The list
/// follows the tasks within moments.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("state" = Option<State>, Query, description = "Only tasks in this state"),
        ("job" = Option<String>, Query, description = "Only tasks of this job"),
        ("limit" = Option<i64>, Query, description = "How many at most, from 1 to 100"),
        ("cursor" = Option<String>, Query, description = "Where the page begins: what the `Link` header of the page before says")),
    responses((status = 200, body = Vec<TaskView>, description = "The tasks",
        headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, Unavailable),
)]
pub async fn list_tasks(
    (tasks, cursors): &(TaskStore, Cursor),
    request: Request,
) -> Result<Answer, HttpError> {
    let (state, limit, after) = all((
        state(&request),
        request.query_int("limit", 10),
        after(&request, cursors),
    ))?;
    let most = if limit.is_negative() { 1 } else { MAX_LIMIT };
    let limit = limit.as_i64().unwrap_or(most).clamp(1, MAX_LIMIT);
    let query = ListQuery {
        state,
        job: request.query_text("job"),
        limit: limit.try_into().unwrap_or(1),
        after,
        caller: request.only_of(),
    };
    let (records, next) = tasks.list(&query).await?;
    let now = now_ms();
    let views = records
        .into_iter()
        .map(|record| TaskView::listed(record, now));
    let answer = Answer::ok(&views.collect::<Vec<_>>());
    Ok(match next {
        Some(TaskPosition(place)) => {
            answer.with_text(LINK, &next_link(&request, &cursors.seal_text(&place)))
        }
        None => answer,
    })
}

fn state(request: &Request) -> Checked<Option<State>> {
    let Some(name) = request.query_text("state") else {
        return Ok(None);
    };
    State::from_name(name).map(Some).ok_or_else(|| {
        let names = State::ALL.map(State::as_str);
        let loc = vec!["query".into(), "state".into()];
        not_one_of(loc, &names, Json::from(name)).into()
    })
}

fn after(request: &Request, cursors: &Cursor) -> Checked<Option<TaskPosition>> {
    let Some(text) = request.query_text("cursor") else {
        return Ok(None);
    };
    let place = cursors.open_text(text).map(TaskPosition);
    place.map(Some).ok_or_else(|| {
        let msg = "Input should be a cursor from this list's Link header";
        let loc = ["query".into(), "cursor".into()];
        FieldError::new("value_error", loc, msg, text).into()
    })
}
