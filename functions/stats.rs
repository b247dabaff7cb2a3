//! `GET /stats/?window=`: numbers of tasks, queues and schedules.

use std::time::Duration;

use async_service::stats::Stats;
use async_service::web::openapi::{Invalid, Unavailable};
use async_service::web::stats_view::{StatsView, window};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/stats/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let stats = app.stats()?;
    app.serve(ROUTE, stats, read_stats).await
}

/// Numbers of tasks by state and by job, of the queues, and of schedules that are late. `states` are those of now;
/// `steps` and `jobs` are what has ended within the window. A number with `at_least` is a lower bound. A caller who
/// sees only own tasks gets the numbers of the newest 200 own tasks.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("window" = Option<i64>, Query, description = "The length of the window in seconds",
        minimum = 60, maximum = 86400)),
    responses((status = 200, body = StatsView, description = "The numbers"), Invalid, Unavailable),
)]
pub async fn read_stats(stats: &Stats, request: Request) -> Result<Response<Body>, HttpError> {
    let (seconds,) = all((window(&request),))?;
    let window = Duration::from_secs(seconds);
    let numbers = stats.read(request.viewer(), window).await?;
    Ok(answer::ok(&StatsView::new(numbers, seconds)))
}
