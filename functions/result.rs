//! `GET /result/{task_id}`: the state of a task, and its result or error.

use async_service::tasks::client::Reader;
use async_service::web::openapi::{ErrorDetail, Invalid, TooLargeAnswer, Unavailable};
use async_service::web::result_view::TaskResult;
use async_service::web::task_view::{task_id, unknown_task};
use async_service::web::{Body, Extract, HttpError, Request, Response, answer};
use async_service::{App, Error};

const ROUTE: &str = "/result/{task_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let tasks = app.reader()?;
    app.serve(ROUTE, tasks, result).await
}

/// The state of a task, and its result or error after the end.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("task_id" = String, Path, example = "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e")),
    responses((status = 200, body = TaskResult, description = "The state, and the result or the error",
            examples(
                ("pending" = (value = json!({"status": "pending"}))),
                ("completed" = (value = json!({"status": "completed", "result": {
                    "records": 1,
                    "fields": {
                        "values": {
                            "count": 1, "missing": 0, "nulls": 0, "types": {"array": 1},
                            "items": {"min": 3, "max": 3, "mean": 3.0},
                        },
                        "values[]": {
                            "count": 3, "missing": 0, "nulls": 0, "types": {"integer": 3},
                            "distinct": 3, "distinct_exact": true, "min": 1, "max": 3, "mean": 2.0,
                            "stdev": 1.0, "zeros": 0, "negatives": 0,
                            "quantiles": {"p01": 1.02, "p05": 1.1, "p25": 1.5, "p50": 2.0,
                                "p75": 2.5, "p95": 2.9, "p99": 2.98},
                            "quantiles_exact": true,
                            "top": [{"value": 1, "count": 1}, {"value": 2, "count": 1},
                                {"value": 3, "count": 1}],
                            "top_exact": true,
                        },
                    },
                    "fields_omitted": 0,
                }}))),
                ("failed" = (value = json!({"status": "failed", "error": {
                    "type": "SourceRefused",
                    "message": "the source answered with status 404",
                }}))),
            )),
        (status = 404, body = ErrorDetail, description = "The id was never issued",
            example = json!({"detail": "Task not found"})),
        Invalid, TooLargeAnswer, Unavailable),
)]
pub async fn result(tasks: &Reader, request: Request) -> Result<Response<Body>, HttpError> {
    let record = tasks.find(request.viewer(), &task_id(&request)?).await?;
    let record = record.ok_or_else(unknown_task)?;
    Ok(answer::ok(&TaskResult::from(record)))
}
