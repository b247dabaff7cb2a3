//! `GET /jobs/`: the jobs, with the JSON Schema of their input and output.

use async_service::jobs::CATALOG;
use async_service::web::job_view::JobView;
use async_service::web::{Body, HttpError, Request, Response, answer};
use async_service::{App, Error};

const ROUTE: &str = "/jobs/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    app.serve(ROUTE, (), list_jobs).await
}

/// All jobs, with the JSON Schemas of their input and output.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    responses((status = 200, body = Vec<JobView>, description = "The jobs in the order of their names")),
)]
pub async fn list_jobs((): &(), _: Request) -> Result<Response<Body>, HttpError> {
    Ok(answer::ok(
        &CATALOG.iter().map(JobView::from).collect::<Vec<_>>(),
    ))
}
