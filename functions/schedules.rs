//! `GET /schedules/?limit=&cursor=`: schedules, by name, with a `Link` to the next page. `POST /schedules/`:
//! creates a schedule.

use async_service::clock::now_ms;
use async_service::jobs::CATALOG;
use async_service::remote::bodies::Bodies;
use async_service::schedules::client::Schedules;
use async_service::schedules::{Schedule, Work};
use async_service::web::cursor::Cursor;
use async_service::web::openapi::{ErrorDetail, Invalid, InvalidBody, Unavailable};
use async_service::web::page::with_next;
use async_service::web::schedule::{
    self, NewSchedule, NewScheduleSchema, ScheduleView, of_celery, schedule_page, schedule_path,
    wrong_rule,
};
use async_service::web::{
    Body, Extract, HttpError, Request, Response, ResponseExt, StatusCode, all, answer,
};
use async_service::{App, Error};

const ROUTE: &str = "/schedules/";

type Parts = (Schedules, Cursor, Bodies);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (
        app.schedules()?,
        Cursor::of("schedules"),
        app.remote_jobs()?,
    );
    app.serve(ROUTE, parts, async |parts, request| {
        match request.method().as_str() {
            "POST" => create_schedule(parts, request).await,
            _ => list_schedules(parts, request).await,
        }
    })
    .await
}

/// Schedules, by name. The `Link` header leads to the next page. The list is eventually consistent, and shows
/// a new schedule within moments.
#[utoipa::path(
    get, path = ROUTE, tag = "schedules",
    params(("limit" = Option<i64>, Query, description = "The most schedules of the page, from 1 to 100"),
        ("cursor" = Option<String>, Query, description = "The start of the page: the cursor in the `Link` header of the previous page")),
    responses((status = 200, body = Vec<ScheduleView>, description = "The schedules",
        headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, Unavailable),
)]
pub async fn list_schedules(
    (schedules, cursors, _): &Parts,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let ((limit, after),) = all((schedule_page(&request, cursors),))?;
    let page = schedules.list(request.viewer(), limit, after.as_deref());
    let (found, next) = page.await?;
    let now = now_ms();
    let views = found.into_iter().map(|one| ScheduleView::new(one, now));
    let views: Vec<ScheduleView> = views.collect();
    let next = next.map(|name| cursors.seal_text(&name));
    Ok(with_next(answer::ok(&views), &request, next))
}

/// Creates a schedule. Its first time is after now. A rule without such a time is refused.
#[utoipa::path(
    post, path = ROUTE, tag = "schedules",
    request_body(content = NewScheduleSchema),
    responses((status = 201, body = ScheduleView, description = "The schedule is created",
        headers(("Location" = String, description = "The path of the schedule"),
            ("ETag" = String, description = "The version of the schedule"))),
        (status = 409, body = ErrorDetail, description = "The name is taken",
            example = json!({"detail": "A schedule with this name exists"})),
        InvalidBody, Unavailable),
)]
pub async fn create_schedule(
    (schedules, _, bodies): &Parts,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (new,) = all((NewSchedule::read(&request, (CATALOG, bodies)),))?;
    if matches!(new.definition.work, Work::Celery(_)) {
        of_celery(&request)?;
    }
    let (caller, now) = (request.caller().map(str::to_owned), now_ms());
    let mut schedule = Schedule::new(new.name, caller, new.definition, now).map_err(wrong_rule)?;
    if schedule.next.is_none() {
        return Err(schedule::no_time(&schedule));
    }
    schedule.set_paused(new.paused, now).map_err(wrong_rule)?;
    let created = schedules.create(schedule, now).await?;
    let path = schedule_path(&request, &created.name);
    Ok(schedule::answer(StatusCode::CREATED, created).at(&path))
}
