//! `GET /schedules/{name}/next?count=`: the next times of a schedule.

use async_service::clock::now_ms;
use async_service::schedules::client::Schedules;
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::web::schedule::{ScheduleTimes, schedule_name};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/schedules/{name}/next";
/// The most times of one answer.
const MAX_COUNT: i64 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let schedules = app.readable_schedules()?;
    app.serve(ROUTE, schedules, next_times).await
}

/// The next times of a schedule, in UTC.
#[utoipa::path(
    get, path = ROUTE, tag = "schedules",
    params(("name" = String, Path, example = "nightly"),
        ("count" = Option<i64>, Query, description = "The number of times, at most 100",
            minimum = 1, maximum = 100)),
    responses((status = 200, body = ScheduleTimes, description = "The times; fewer if the schedule ends before"),
        (status = 404, body = ErrorDetail, description = "There is no such schedule",
            example = json!({"detail": "Schedule not found"})),
        Invalid, Unavailable),
)]
pub async fn next_times(
    schedules: &Schedules,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (count,) = all((request.query_int_within("count", 10, 1..=MAX_COUNT),))?;
    let found = schedules
        .get(request.viewer(), schedule_name(&request))
        .await?;
    let count = usize::try_from(count).unwrap_or(1);
    Ok(answer::ok(&ScheduleTimes::of(&found, now_ms(), count)))
}
