//! Reads task ids and queries from requests, and shows tasks in answers.

use jiff::Timestamp;
use lambda_http::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::checks::{Checked, gather};
use super::cursor::Cursor;
use super::error::HttpError;
use super::extract::Extract;
use super::page::foreign_cursor;
use super::task_filter;
use crate::celery::workflow::{On, Workflow, workflow};
use crate::jobs::TaskErrorSchema;
use crate::tasks::client::Accepted;
use crate::tasks::id::TaskId;
use crate::tasks::record::{Attempt, Progress, TaskError, TaskRecord};
use crate::tasks::state::State;
use crate::tasks::store::{ListQuery, TaskPosition};
use crate::trace::Trace;

/// The most tasks of one page. A larger `limit` gives this number of tasks and a link to the next page.
const MAX_LIMIT: i64 = 100;

/// The characters that are escaped in a path: all but those of RFC 3986 that never need it.
#[rustfmt::skip]
pub(super) const NOT_IN_IDS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The id of a task in the path of a request. This service issues UUIDs in lower case with hyphens; a
/// client of another wire format chooses any text.
///
/// # Errors
/// 404 for a text that cannot be an id.
pub fn task_id(request: &Request) -> Result<TaskId, HttpError> {
    TaskId::parse(request.path_text("task_id")).ok_or_else(unknown_task)
}

/// The path of a task.
pub fn task_path(request: &Request, id: &TaskId) -> String {
    let id = utf8_percent_encode(id.as_str(), NOT_IN_IDS);
    format!("{}/tasks/{id}", request.prefix())
}

/// 404: the task does not exist, or the caller may not see the task.
pub fn unknown_task() -> HttpError {
    HttpError::not_found("Task not found")
}

/// The query of a list of tasks: a filter, `limit` and `cursor`.
///
/// # Errors
/// As [`task_filter::from_query`], for a limit that is not an integer, and for a cursor that is not of this
/// list.
pub fn task_query(request: &Request, cursors: &Cursor) -> Checked<ListQuery> {
    let (filter, limit, after) = gather((
        task_filter::from_query(request),
        request.query_int("limit", 10),
        after(request, cursors),
    ))?;
    let most = if limit.is_negative() { 1 } else { MAX_LIMIT };
    let limit = limit.as_i64().unwrap_or(most).clamp(1, MAX_LIMIT);
    Ok(ListQuery {
        filter,
        limit: limit.try_into().unwrap_or(1),
        after,
        ..ListQuery::default()
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

/// An accepted task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "task_id": "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e",
    "job": "process_data",
    "state": "pending",
}))]
pub struct AcceptedTask {
    /// The id of the task.
    #[schema(value_type = String)]
    pub task_id: TaskId,
    /// The name of the job.
    pub job: String,
    /// `pending`, or `scheduled` for a delayed task.
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

/// The state of a task.
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
    /// See [`State::Moved`].
    Moved,
}

/// A task. Times are UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// The id of the task.
    #[schema(value_type = String)]
    task_id: TaskId,
    /// The name of the job. Absent if the task's message was unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// The state of the task.
    #[schema(value_type = TaskState)]
    state: State,
    /// The number of the run, from 1. A retry starts another run under the same id.
    run: u32,
    /// `normal` or `high`.
    priority: &'static str,
    /// The caller who submitted the task. Absent without authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// When the task was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// The task does not start before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    eta: Option<String>,
    /// The task does not start after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires: Option<String>,
    /// When the first attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When the task ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Milliseconds between the earliest possible start and the start of the first attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_wait_ms: Option<u64>,
    /// The most attempts after the first, if the submission sets a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, if the submission sets a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_limit: Option<u64>,
    /// The progress reported by the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView>,
    /// The attempts, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
    /// The next action on the task and its time. Absent after the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// When a caller asked to cancel the running task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    cancel_requested_at: Option<String>,
    /// The input of the job, if the request asks for the input. A task of Celery's clients has `args` and `kwargs`.
    /// Absent if the task's message was unreadable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    /// The output of the job, if the task is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
    /// The wire format that the task came in. Absent for a task that came by this service's routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// The name of the schedule that the task is one time of. Absent for all other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    /// The id of the trace that the task was submitted in: 32 hexadecimal digits. Absent without a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736")]
    trace_id: Option<String>,
    /// What the end of the task's run sets off. Absent if the end sets off nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    effects: Option<Vec<String>>,
    /// Whether what the end of the run sets off is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    effects_done: Option<bool>,
    /// The place of the task in its workflow, for a task of Celery's clients. Absent in lists, and for a task that
    /// came alone and sets nothing off.
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<WorkflowView>,
}

/// The place of a task in its workflow.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkflowView {
    /// The id of the first task of the workflow.
    root_id: String,
    /// The id of the task that sent this task.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    /// The id of the group or chord that the task is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    /// The tasks that the end of the run sets off directly, at most 100: callbacks, the next link of the chain, error
    /// callbacks, and the body of the chord. A task that has not been sent has no record yet.
    follows: Vec<FollowView>,
}

/// A task that the end of another task sets off.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowView {
    /// The id of the task. Absent if the function of a Python body will make up the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    /// The name of the job.
    job: String,
    /// `success` or `failure` of the task, or `chord`: the success of all members of the chord.
    on: &'static str,
}

impl From<Workflow> for WorkflowView {
    fn from(workflow: Workflow) -> WorkflowView {
        let follows = workflow.follows.into_iter().map(|follow| FollowView {
            task_id: follow.id,
            job: follow.task,
            on: match follow.on {
                On::Success => "success",
                On::Failure => "failure",
                On::Chord => "chord",
            },
        });
        WorkflowView {
            root_id: workflow.root_id,
            parent_id: workflow.parent_id,
            group_id: workflow.group_id,
            follows: follows.collect(),
        }
    }
}

/// The progress of a task, reported by its job.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// The work done, in a unit of the job.
    done: u64,
    /// The whole work in the same unit, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// An attempt to run a task.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// The number of the attempt, from 1.
    attempt: usize,
    /// When the attempt began.
    #[schema(format = DateTime)]
    started_at: String,
    /// When the attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// `running`, `completed`, `failed`, `continued` (the worker ran out of time, and the next attempt
    /// continues), `cancelled`, or `lost` (the worker died).
    outcome: String,
    /// The name of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// Why the attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
}

/// The next action on a task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Next {
    /// `attempt`, or `cancel` if the worker was asked to stop the task. For a running task, `attempt` is the
    /// attempt that follows if the worker dies.
    action: &'static str,
    /// The earliest time of the action. Absent if the action only waits for a free worker.
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
            task_id: record.id.clone(),
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
            input: None,
            result: record.result.filter(|_| state == State::Completed),
            error: record.error,
            origin: record.origin,
            schedule: record.schedule,
            trace_id: record.trace.as_ref().map(Trace::id),
            effects_done: (!record.effects.is_empty()).then_some(record.are_effects_done),
            effects: Some(record.effects).filter(|effects| !effects.is_empty()),
            workflow: None,
        }
    }

    /// The view with the place of the task in its workflow, by the data of the task's origin.
    pub fn in_workflow(self, data: Option<&RawValue>) -> TaskView {
        let found = data.and_then(|data| workflow(self.task_id.as_str(), self.run, data));
        TaskView {
            workflow: found.map(WorkflowView::from),
            ..self
        }
    }

    /// The view with the input of the job.
    pub fn with_input(self, input: Option<Box<RawValue>>) -> TaskView {
        TaskView { input, ..self }
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
        State::Completed | State::Failed | State::Cancelled | State::Expired | State::Moved => None,
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
            // The history of a run with very many attempts leaves some out.
            attempt: match at + 1 == last && open == "running" {
                true => last.max(record.attempt as usize),
                false => at + 1,
            },
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
pub(super) fn time(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
        .unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests;
