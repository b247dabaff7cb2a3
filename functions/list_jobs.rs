//! `GET /jobs/`: the jobs, with the JSON Schema of their input and output.

use async_service::jobs::CATALOG;
use async_service::web::job_view::JobView;
use async_service::web::{Body, HttpError, Request, Response, answer};
use async_service::{App, Error};

const ROUTE: &str = "/jobs";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.serve(ROUTE, (), list_jobs).await
}

/// The jobs that a task can be submitted of, with the JSON Schema of their input and output.
#[utoipa::path(
    get, path = "/jobs/", tag = "tasks",
    responses((status = 200, body = Vec<JobView>, description = "The jobs, by their names")),
)]
pub async fn list_jobs((): &(), _: Request) -> Result<Response<Body>, HttpError> {
    Ok(answer::ok(
        &CATALOG.iter().map(JobView::from).collect::<Vec<_>>(),
    ))
}
