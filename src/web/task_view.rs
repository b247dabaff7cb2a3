//! Reads task ids and queries from requests, and shows tasks in answers.

use jiff::Timestamp;
use lambda_http::Request;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::checks::{Checked, gather, pydantic};
use super::cursor::Cursor;
use super::error::HttpError;
use super::extract::Extract;
use super::page::foreign_cursor;
use crate::jobs::TaskErrorSchema;
use crate::tasks::client::Accepted;
use crate::tasks::record::{Attempt, Progress, TaskError, TaskRecord};
use crate::tasks::state::State;
use crate::tasks::store::{ListQuery, TaskPosition};

/// The most tasks of one page. A larger `limit` gives this number of tasks and a link to the next page.
const MAX_LIMIT: i64 = 100;

/// The id of a task in the path of a request. Issued ids are UUIDs in lower case with hyphens.
///
/// # Errors
/// 404 for any other text, which was never issued as an id.
pub fn task_id(request: &Request) -> Result<Uuid, HttpError> {
    let text = request.path_text("task_id");
    let id = Uuid::parse_str(text).ok();
    let is_issued = |id: &Uuid| {
        let mut form = Uuid::encode_buffer();
        id.as_hyphenated().encode_lower(&mut form) == text
    };
    id.filter(is_issued).ok_or_else(unknown_task)
}

/// 404: the task does not exist, or the caller may not see the task.
pub fn unknown_task() -> HttpError {
    HttpError::not_found("Task not found")
}

/// The query of a list of tasks: `?state=&job=&limit=&cursor=`.
///
/// # Errors
/// For an unknown state, a limit that is not an integer, and a cursor that is not of this list.
pub fn task_query<'a>(request: &'a Request, cursors: &Cursor) -> Checked<ListQuery<'a>> {
    let (state, limit, after) = gather((
        state(request),
        request.query_int("limit", 10),
        after(request, cursors),
    ))?;
    let most = if limit.is_negative() { 1 } else { MAX_LIMIT };
    let limit = limit.as_i64().unwrap_or(most).clamp(1, MAX_LIMIT);
    Ok(ListQuery {
        state,
        job: request.query_text("job"),
        limit: limit.try_into().unwrap_or(1),
        after,
    })
}

fn state(request: &Request) -> Checked<Option<State>> {
    let Some(name) = request.query_text("state") else {
        return Ok(None);
    };
    State::from_name(name).map(Some).ok_or_else(|| {
        let names = State::ALL.map(State::as_str);
        pydantic::literal(["query".into(), "state".into()], &names, name.into()).into()
    })
}

fn after(request: &Request, cursors: &Cursor) -> Checked<Option<TaskPosition>> {
    let Some(text) = request.query_text("cursor") else {
        return Ok(None);
    };
    let position = cursors.open_text(text);
    let position = position.and_then(|text| TaskPosition::parse(&text));
    position.map(Some).ok_or_else(|| foreign_cursor(text))
}

/// A task that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "task_id": "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e",
    "job": "process_data",
    "state": "pending",
}))]
pub struct AcceptedTask {
    /// The id to ask for.
    #[schema(value_type = String, format = "uuid")]
    pub task_id: Uuid,
    /// Its job.
    pub job: String,
    /// `pending`, or `scheduled` where it waits for its time.
    #[schema(value_type = TaskState)]
    pub state: State,
}

impl From<Accepted> for AcceptedTask {
    /// The answer to a submission. A repeated submission has the same answer.
    fn from(accepted: Accepted) -> AcceptedTask {
        AcceptedTask {
            task_id: accepted.id,
            job: accepted.job,
            state: accepted.eta.map_or(State::Pending, |_| State::Scheduled),
        }
    }
}

/// Where a task stands.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum TaskState {
    /// See [`State::Scheduled`].
    Scheduled,
    /// See [`State::Pending`].
    Pending,
    /// See [`State::Running`].
    Running,
    /// See [`State::Retrying`].
    Retrying,
    /// See [`State::Completed`].
    Completed,
    /// See [`State::Failed`].
    Failed,
    /// See [`State::Cancelled`].
    Cancelled,
    /// See [`State::Expired`].
    Expired,
}

/// All that is known of a task. Times are UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// The task.
    #[schema(value_type = String, format = "uuid")]
    task_id: Uuid,
    /// Its job; absent where only an unreadable message told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// Where it stands.
    #[schema(value_type = TaskState)]
    state: State,
    /// Which run of it this is, from 1: it may be run again under its id.
    run: u32,
    /// `normal` or `high`.
    priority: &'static str,
    /// Who submitted it, where callers are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Before this time it may not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    eta: Option<String>,
    /// After this time it may not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires: Option<String>,
    /// When its first attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Milliseconds from when it could have begun until it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_wait_ms: Option<u64>,
    /// Attempts after the first, where the submission named a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, where the submission named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_limit: Option<u64>,
    /// How far it says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView>,
    /// Its attempts, the first one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
    /// What happens next and when; absent where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// When its caller asked for its end, where a worker had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    cancel_requested_at: Option<String>,
    /// What it gave, where it is completed: its job's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why its last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
}

/// How far a task says it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// What is done, in units of the job's own.
    done: u64,
    /// What there is to do, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    attempt: usize,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// `running`, `completed`, `failed`, `continued` (its worker's time was over, and another attempt
    /// goes on), `cancelled`, or `lost` (its worker died).
    outcome: String,
    /// Which worker made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
}

/// What happens next to a task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Next {
    /// `attempt`, or `cancel` where its worker is asked to stop; of a running task, the attempt that
    /// follows should its worker die.
    action: &'static str,
    /// When, at the earliest; absent for as soon as a worker is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    at: Option<String>,
}

impl TaskView {
    /// The view of a record at the time `now`, in milliseconds since the Unix epoch.
    pub fn new(record: TaskRecord, now: u64) -> TaskView {
        let state = state_at(&record, now);
        let ready = record.options.eta.unwrap_or(record.created_at);
        let wait = |started: u64| started.saturating_sub(ready);
        TaskView {
            task_id: record.id,
            state,
            run: record.run,
            priority: record.options.priority.as_str(),
            created_at: time(record.created_at),
            eta: record.options.eta.map(time),
            expires: record.options.expires.map(time),
            started_at: record.started_at.map(time),
            finished_at: record.finished_at.map(time),
            // The record does not have the start of the wait of a later run.
            queue_wait_ms: record.started_at.filter(|_| record.run == 1).map(wait),
            max_retries: record.options.max_retries,
            time_limit: record.options.time_limit,
            progress: record.progress.as_ref().map(ProgressView::new),
            attempts: Some(attempts(&record)),
            next: next(&record, state),
            cancel_requested_at: record.cancel_requested_at.map(time),
            job: record.job,
            caller: record.caller,
            result: record.result.filter(|_| state == State::Completed),
            error: record.error,
        }
    }

    /// The view of a record in a list, without result and attempts.
    pub fn listed(record: TaskRecord, now: u64) -> TaskView {
        TaskView {
            result: None,
            attempts: None,
            ..TaskView::new(record, now)
        }
    }
}

impl ProgressView {
    fn new(progress: &Progress) -> ProgressView {
        ProgressView {
            done: progress.done,
            total: progress.total,
            message: progress.message.clone(),
        }
    }
}

/// The state at the time `now`. A scheduled task that is due is pending.
fn state_at(record: &TaskRecord, now: u64) -> State {
    let due = record.options.eta.is_none_or(|eta| eta <= now);
    match record.state {
        State::Scheduled if due => State::Pending,
        state => state,
    }
}

fn next(record: &TaskRecord, state: State) -> Option<Next> {
    let attempt = |at: Option<u64>| {
        Some(Next {
            action: "attempt",
            at: at.map(time),
        })
    };
    match state {
        State::Scheduled => attempt(record.options.eta),
        State::Pending => attempt(None),
        State::Retrying => attempt(record.next_at),
        State::Running if record.cancel_requested_at.is_some() => Some(Next {
            action: "cancel",
            at: None,
        }),
        State::Running => attempt(record.lease_until),
        State::Completed | State::Failed | State::Cancelled | State::Expired => None,
    }
}

fn attempts(record: &TaskRecord) -> Vec<AttemptView> {
    let last = record.attempts.len();
    let view = |(at, attempt): (usize, &Attempt)| {
        let open = match record.state {
            State::Running if at + 1 == last => "running",
            _ => "lost",
        };
        AttemptView {
            attempt: at + 1,
            started_at: time(attempt.started_at),
            ended_at: attempt.ended_at.map(time),
            outcome: attempt.outcome.clone().unwrap_or(open.to_owned()),
            worker: attempt.worker.clone(),
            error: attempt.error.clone(),
        }
    };
    record.attempts.iter().enumerate().map(view).collect()
}

/// A time of RFC 3339, with milliseconds.
fn time(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
        .unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests;
