//! `GET`, `PUT`, `PATCH` and `DELETE /schedules/{name}`: reads, replaces, changes and deletes a schedule.

use async_service::clock::now_ms;
use async_service::jobs::CATALOG;
use async_service::remote::bodies::Bodies;
use async_service::schedules::client::{Change, Schedules};
use async_service::tasks::client::Reader;
use async_service::web::openapi::{ErrorDetail, Invalid, InvalidBody, Unavailable};
use async_service::web::schedule::{
    self, Edit, NewScheduleSchema, PatchSchema, ScheduleView, of_celery, schedule_name, version,
};
use async_service::web::{Body, Extract, HttpError, Request, Response, StatusCode, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/schedules/{name}";

type Parts = (Schedules, Reader, Bodies);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.schedules()?, app.reader()?, app.remote_jobs()?);
    app.serve(ROUTE, parts, async |parts, request| {
        match request.method().as_str() {
            "PUT" => replace_schedule(parts, request).await,
            "PATCH" => change_schedule(parts, request).await,
            "DELETE" => delete_schedule(parts, request).await,
            _ => read_schedule(parts, request).await,
        }
    })
    .await
}

/// A schedule, with the state of its last task.
#[utoipa::path(
    get, path = ROUTE, tag = "schedules",
    params(("name" = String, Path, example = "nightly")),
    responses((status = 200, body = ScheduleView, description = "The schedule",
        headers(("ETag" = String, description = "The version of the schedule"))),
        (status = 404, body = ErrorDetail, description = "There is no such schedule",
            example = json!({"detail": "Schedule not found"})),
        Invalid, Unavailable),
)]
pub async fn read_schedule(
    (schedules, tasks, _): &Parts,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let found = schedules
        .get(request.viewer(), schedule_name(&request))
        .await?;
    let state = match found.last {
        Some(last) => {
            let id = found.task_id(last);
            let task = tasks.find(request.viewer(), &id).await?;
            task.map(|task| task.state)
        }
        None => None,
    };
    Ok(schedule::answer_with_state(found, state))
}

/// Replaces a schedule. Another rule, time zone, start or end takes effect with the first time whose task was
/// not submitted; tasks are submitted up to 75 seconds before. With `If-Match`, or a version in the body, a
/// schedule that somebody has changed since is not replaced.
#[utoipa::path(
    put, path = ROUTE, tag = "schedules",
    params(("name" = String, Path, example = "nightly"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that the change is of")),
    request_body(content = NewScheduleSchema),
    responses((status = 200, body = ScheduleView, description = "The schedule",
        headers(("ETag" = String, description = "The version of the schedule"))),
        (status = 404, body = ErrorDetail, description = "There is no such schedule",
            example = json!({"detail": "Schedule not found"})),
        (status = 412, body = ErrorDetail, description = "The schedule has another version",
            example = json!({"detail": "The schedule has version 2"})),
        InvalidBody, Unavailable),
)]
pub async fn replace_schedule(
    parts: &Parts,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    edit(parts, request, false).await
}

/// Changes the members of a schedule that the body has. Null restores a default. As for a replacement, with
/// `If-Match`, or a version in the body, a schedule that somebody has changed since is not changed.
#[utoipa::path(
    patch, path = ROUTE, tag = "schedules",
    params(("name" = String, Path, example = "nightly"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that the change is of")),
    request_body(content = PatchSchema),
    responses((status = 200, body = ScheduleView, description = "The schedule",
        headers(("ETag" = String, description = "The version of the schedule"))),
        (status = 404, body = ErrorDetail, description = "There is no such schedule",
            example = json!({"detail": "Schedule not found"})),
        (status = 412, body = ErrorDetail, description = "The schedule has another version",
            example = json!({"detail": "The schedule has version 2"})),
        InvalidBody, Unavailable),
)]
pub async fn change_schedule(parts: &Parts, request: Request) -> Result<Response<Body>, HttpError> {
    edit(parts, request, true).await
}

async fn edit(
    (schedules, _, bodies): &Parts,
    request: Request,
    is_partial: bool,
) -> Result<Response<Body>, HttpError> {
    let (edit,) = all((Edit::read(&request, is_partial),))?;
    if edit.is_of_celery() {
        of_celery(&request)?;
    }
    let version = version(&request)?.or(edit.version);
    let changed = schedules.change(
        request.viewer(),
        schedule_name(&request),
        version,
        now_ms(),
        |schedule| {
            let (definition, paused) = edit.apply(schedule, (CATALOG, bodies))?;
            Ok::<_, HttpError>(Change {
                definition: Some(definition),
                paused,
            })
        },
    );
    Ok(schedule::answer(StatusCode::OK, changed.await?))
}

/// Deletes a schedule. Its tasks stay, also those of times up to 75 seconds ahead.
#[utoipa::path(
    delete, path = ROUTE, tag = "schedules",
    params(("name" = String, Path, example = "nightly"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule to delete")),
    responses((status = 204, description = "The schedule is deleted"),
        (status = 404, body = ErrorDetail, description = "There is no such schedule",
            example = json!({"detail": "Schedule not found"})),
        (status = 412, body = ErrorDetail, description = "The schedule has another version",
            example = json!({"detail": "The schedule has version 2"})),
        Invalid, Unavailable),
)]
pub async fn delete_schedule(
    (schedules, ..): &Parts,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (name, version) = (schedule_name(&request), version(&request)?);
    let deleted = schedules.delete(request.viewer(), name, version, now_ms());
    deleted.await?;
    Ok(answer::no_content())
}
