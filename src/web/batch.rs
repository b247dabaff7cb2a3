//! `POST /tasks/batch`: reads many submissions, and shows the outcome of each.

use http::StatusCode;
use lambda_http::Request;
use serde::Serialize;
use utoipa::ToSchema;

use super::checks::{Checked, pydantic};
use super::error::{Detail, HttpError, Loc};
use super::extract::Extract;
use super::submission::{Found, Jobs, OptionsSchema, Submission, SubmissionIds, checked_key};
use super::task_view::AcceptedTask;
use crate::json::{Json, Object};
use crate::tasks::client::{Accepted, SubmitError, Submitter};
use crate::trace::Trace;

/// The most submissions of one batch.
const MAX_TASKS: usize = 1_000;
/// The most bytes of the details of one answer, as JSON. In the function's response a byte takes at most two,
/// so that the answer is well below Lambda's 6 MB.
const MAX_DETAILS: usize = 2 * 1024 * 1024;
/// The member with the idempotency key of a submission.
const KEY: &str = "idempotency_key";

/// Tasks to be submitted.
#[derive(Debug, ToSchema)]
#[schema(as = NewTasks, example = json!({"tasks": [
    {"job": "process_data", "input": {"values": [1, 2, 3]}, "idempotency_key": "order-4711"},
    {"job": "process_data", "input": {"values": [4]}},
]}))]
pub struct BatchSchema {
    /// The tasks.
    #[schema(min_items = 1, max_items = 1000)]
    pub tasks: Vec<BatchTaskSchema>,
}

/// A task of a batch.
#[derive(Debug, ToSchema)]
#[schema(as = NewBatchTask)]
pub struct BatchTaskSchema {
    /// The name of the job. `GET /jobs/` lists all jobs.
    pub job: String,
    /// The input of the job. `GET /jobs/` has its schema.
    #[schema(value_type = serde_json::Value, required = false)]
    pub input: Json,
    /// How to run the task.
    #[schema(required = false)]
    pub options: OptionsSchema,
    /// Makes the submission safe to repeat, as the header `Idempotency-Key` of `POST /tasks/` does.
    #[schema(min_length = 1, max_length = 255)]
    pub idempotency_key: Option<String>,
}

/// The outcome of each task, in order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchOutcomes)]
pub struct BatchView {
    /// The number of accepted tasks.
    accepted: usize,
    /// The number of tasks that were not accepted.
    refused: usize,
    /// The answer that `POST /tasks/` would give to each task.
    outcomes: Vec<OutcomeView>,
}

/// The outcome of a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchOutcome)]
#[serde(untagged)]
pub enum OutcomeView {
    /// The task is accepted.
    Accepted {
        /// 202
        status: u16,
        /// The task.
        task: AcceptedTask,
    },
    /// The task is not accepted.
    Refused {
        /// The status of the error, such as 422.
        status: u16,
        /// The error, as `POST /tasks/` words it.
        detail: Detail,
    },
}

/// The submissions of a batch, each checked by itself.
#[derive(Debug)]
pub struct Batch(Vec<Checked<Submission>>);

impl Batch {
    /// Reads the body of a request; the arguments are those of [`Submission::read`]. A submission with an error
    /// does not hinder the others.
    ///
    /// # Errors
    /// For a body that is no list of 1 to 1,000 submissions.
    pub fn read(request: &Request, jobs: Jobs<'_>, now: u64) -> Checked<Batch> {
        request.body_as_lossy(|body| {
            let tasks = tasks(body)?.into_iter();
            let checked = tasks.map(|task| Submission::check(task, jobs, now, key_of_member));
            Ok(Batch(checked.collect()))
        })
    }

    /// Submits the tasks without an error, in the name of `caller`, at the time `now` in milliseconds since the
    /// Unix epoch.
    pub async fn submit(
        self,
        submitter: &Submitter,
        ids: SubmissionIds,
        caller: Option<&str>,
        trace: Option<&Trace>,
        now: u64,
    ) -> BatchView {
        let mut refused = Vec::with_capacity(self.0.len());
        let mut tasks = Vec::with_capacity(self.0.len());
        for submission in self.0 {
            match submission {
                Ok(submission) => {
                    let mut task = submission.task(ids, caller, now);
                    task.trace = trace.cloned();
                    tasks.push(task);
                    refused.push(None);
                }
                Err(rejection) => refused.push(Some(HttpError::from(rejection))),
            }
        }
        let mut submitted = submitter.submit_all(tasks).await.into_iter();
        let outcomes = refused.into_iter().filter_map(|refused| match refused {
            Some(error) => Some(Err(error)),
            None => Some(submitted.next()?.map_err(error_of)),
        });
        BatchView::new(outcomes)
    }
}

impl BatchView {
    fn new(outcomes: impl Iterator<Item = Result<Accepted, HttpError>>) -> BatchView {
        let (mut accepted, mut room) = (0, MAX_DETAILS);
        let view = |outcome| match outcome {
            Ok(task) => {
                accepted += 1;
                OutcomeView::Accepted {
                    status: StatusCode::ACCEPTED.as_u16(),
                    task: AcceptedTask::from(task),
                }
            }
            Err(error) => refused(error, &mut room),
        };
        let outcomes: Vec<OutcomeView> = outcomes.map(view).collect();
        BatchView {
            accepted,
            refused: outcomes.len() - accepted,
            outcomes,
        }
    }
}

/// The outcome of a task that is not accepted. `room` is what is left of [`MAX_DETAILS`]; a detail that exceeds
/// it is left out.
fn refused(error: HttpError, room: &mut usize) -> OutcomeView {
    error.log();
    let status = error.status().as_u16();
    let detail = error.into_detail();
    let size = serde_json::to_string(&detail).map_or(usize::MAX, |text| text.len());
    let detail = match room.checked_sub(size) {
        Some(left) => {
            *room = left;
            detail
        }
        None => Detail::Text("The detail is left out: the answer would be too large".to_owned()),
    };
    OutcomeView::Refused { status, detail }
}

/// The error of a task, in the words of `POST /tasks/`.
fn error_of(error: SubmitError) -> HttpError {
    match error {
        SubmitError::Different => {
            let reason = "the key was used for a different request";
            HttpError::invalid(vec![pydantic::value(key_loc(), reason, Json::Null)])
        }
        error => error.into(),
    }
}

/// The member `tasks`: 1 to [`MAX_TASKS`] values.
fn tasks(body: Json) -> Checked<Vec<Json>> {
    let loc = || [Loc::from("body"), "tasks".into()];
    let body = body.into_object();
    let mut body = body.map_err(|other| pydantic::model(["body".into()], other))?;
    match body.remove("tasks") {
        None => Err(pydantic::missing(loc(), Json::Object(body)).into()),
        Some(Json::Array(tasks)) => match tasks.len() {
            0 => Err(pydantic::too_short(loc(), 1, 0, Json::Array(tasks)).into()),
            count if count > MAX_TASKS => {
                Err(pydantic::too_long(loc(), MAX_TASKS, count, Json::Null).into())
            }
            _ => Ok(tasks),
        },
        Some(other) => Err(pydantic::list(loc(), other).into()),
    }
}

/// The idempotency key in a submission.
fn key_of_member(body: &Object) -> Found<Option<String>> {
    match body.get(KEY) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(key)) => checked_key(key.clone(), key_loc()).map(Some),
        Some(other) => Err(vec![pydantic::string(key_loc(), other.clone())]),
    }
}

fn key_loc() -> [Loc; 2] {
    ["body".into(), KEY.into()]
}

#[cfg(test)]
mod tests;
