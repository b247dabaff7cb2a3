//! `GET /jobs/`: the jobs, with the JSON Schema of their input and output.

use async_service::jobs::CATALOG;
use async_service::remote::bodies::Bodies;
use async_service::web::job_view::JobView;
use async_service::web::{Body, HttpError, Request, Response, answer};
use async_service::{App, Error};

const ROUTE: &str = "/jobs/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let bodies = app.remote_jobs()?;
    app.serve(ROUTE, bodies, list_jobs).await
}

/// All jobs, with the JSON Schemas of their input and output, and after them the remote jobs. The name of a
/// remote job is a pattern, in which `*` stands for any text, and its input may be any JSON.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    responses((status = 200, body = Vec<JobView>, description = "The jobs in the order of their precedence")),
)]
pub async fn list_jobs(bodies: &Bodies, _: Request) -> Result<Response<Body>, HttpError> {
    let jobs = CATALOG.iter().map(JobView::from);
    let jobs: Vec<_> = jobs.chain(bodies.iter().map(JobView::from)).collect();
    Ok(answer::ok(&jobs))
}
