//! `POST /schedules/{name}/{action}`: pauses or resumes a schedule, or runs it at once.

use async_service::clock::now_ms;
use async_service::schedules::client::{Change, ScheduleError, Schedules};
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::web::schedule::{self, Action, ScheduleView, action, schedule_name, version};
use async_service::web::task_view::{AcceptedTask, task_path};
use async_service::web::{
    Body, Extract, HttpError, Request, Response, ResponseExt, StatusCode, all, answer,
};
use async_service::{App, Error};

const ROUTE: &str = "/schedules/{name}/{action}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let schedules = app.schedules()?;
    app.serve(ROUTE, schedules, act_on_schedule).await
}

/// Pauses or resumes a schedule, or submits a task of it at once. Times of a pause are dropped. A run at once is
/// none of the schedule's times: it does not count.
#[utoipa::path(
    post, path = ROUTE, tag = "schedules",
    params(("name" = String, Path, example = "nightly"),
        ("action" = inline(schedule::ActionSchema), Path, description = "What to do"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the schedule that the change is of")),
    responses((status = 200, body = ScheduleView, description = "The schedule, paused or resumed",
        headers(("ETag" = String, description = "The version of the schedule"))),
        (status = 202, body = AcceptedTask, description = "The task of a run at once waits for a worker",
        headers(("Location" = String, description = "The path of the task"))),
        (status = 404, body = ErrorDetail, description = "There is no such schedule",
            example = json!({"detail": "Schedule not found"})),
        (status = 412, body = ErrorDetail, description = "The schedule has another version",
            example = json!({"detail": "The schedule has version 2"})),
        Invalid, Unavailable),
)]
pub async fn act_on_schedule(
    schedules: &Schedules,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (action,) = all((action(&request),))?;
    let (viewer, name, now) = (request.viewer(), schedule_name(&request), now_ms());
    if action == Action::Run {
        let accepted = AcceptedTask::from(schedules.run(viewer, name, now).await?);
        let path = task_path(&request, &accepted.task_id);
        return Ok(answer::json(StatusCode::ACCEPTED, &accepted).at(&path));
    }
    let edit = |_: &_| {
        Ok::<_, ScheduleError>(Change {
            definition: None,
            paused: Some(action == Action::Pause),
        })
    };
    let changed = schedules.change(viewer, name, version(&request)?, now, edit);
    Ok(schedule::answer(StatusCode::OK, changed.await?))
}
