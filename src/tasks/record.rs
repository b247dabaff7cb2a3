//! A task's record: the task's row in the table.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::id::TaskId;
use super::state::State;
use super::task::Options;
use crate::trace::Trace;

/// A task's record. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub struct TaskRecord {
    /// The task.
    pub id: TaskId,
    /// The name of the task's job; `None` if the task's message was unreadable.
    pub job: Option<String>,
    /// The task's state.
    pub state: State,
    /// The number of the task's run, from 1.
    pub run: u32,
    /// The task's options.
    pub options: Options,
    /// Who submitted the task; `None` without authentication.
    pub caller: Option<String>,
    /// A hash of the submission, if the submission had an idempotency key.
    pub fingerprint: Option<String>,
    /// The name of the wire format that the task came in; `None` for the service's own.
    pub origin: Option<String>,
    /// The data of the origin; `None` if the data is too large for the record.
    pub origin_data: Option<Box<RawValue>>,
    /// The name of the schedule that the task is one time of.
    pub schedule: Option<String>,
    /// The trace that the task was submitted in.
    pub trace: Option<Trace>,
    /// The job's input; `None` if the input is too large for the record.
    pub input: Option<Box<RawValue>>,
    /// The names of what the end of a run sets off.
    pub effects: Vec<String>,
    /// Whether what the end of this run sets off is done.
    pub are_effects_done: bool,
    /// When the task was accepted.
    pub created_at: u64,
    /// When the first attempt of this run began.
    pub started_at: Option<u64>,
    /// When the run ended.
    pub finished_at: Option<u64>,
    /// When the next attempt is due.
    pub next_at: Option<u64>,
    /// When the present attempt's lease ends unless the worker extends it.
    pub lease_until: Option<u64>,
    /// When the caller cancelled the task, if a worker held it at that time.
    pub cancel_requested_at: Option<u64>,
    /// The job's last report of its progress.
    pub progress: Option<Progress>,
    /// The number of the last attempt of this run; 0 before the first.
    pub attempt: u32,
    /// The attempts of this run, up to a bound.
    pub attempts: Vec<Attempt>,
    /// The job's output.
    pub result: Option<Box<RawValue>>,
    /// Why the last attempt failed.
    pub error: Option<TaskError>,
}

/// The progress of a task, in units of the job's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Progress {
    /// Units that are done.
    pub done: u64,
    /// Units in all, if known.
    pub total: Option<u64>,
    /// A sentence for people.
    pub message: Option<String>,
}

/// One attempt. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When the attempt began.
    pub started_at: u64,
    /// When the attempt ended; `None` while it runs, and if its worker died.
    pub ended_at: Option<u64>,
    /// How the attempt ended: `completed`, `failed`, `continued` or `cancelled`.
    pub outcome: Option<String>,
    /// The worker's name.
    pub worker: Option<String>,
    /// Why the attempt failed.
    pub error: Option<TaskError>,
}

/// The end of a run, for what the end sets off.
#[derive(Debug)]
pub struct End {
    /// The final state.
    pub state: State,
    /// The number of the run, from 1.
    pub run: u32,
    /// The number of the run's last attempt; 0 if no attempt began.
    pub attempt: u32,
    /// The worker of the last attempt.
    pub worker: Option<String>,
    /// The job's output, if the task is completed.
    pub result: Option<Box<RawValue>>,
    /// Why the last attempt failed, or why the task could not run.
    pub error: Option<TaskError>,
    /// The calls that the end makes in place of those that follow from the task's origin, in the form of the
    /// task's format; `None` for those of the origin.
    pub calls: Option<Box<RawValue>>,
    /// Whether the task's message goes to the dead-letter queue, as the body asked.
    pub is_rejected: bool,
    /// When the run ended, in milliseconds since the Unix epoch.
    pub finished_at: u64,
}

impl End {
    /// Whether the end sets off something that the task's origin does not name.
    pub fn has_effects(&self) -> bool {
        self.calls.is_some() || self.is_rejected
    }
}

/// Why a task or an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// A word for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// Where the error arose, in the words of the body's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// The module that defines the error's type, such as `builtins`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

impl TaskError {
    /// An error of this kind.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> TaskError {
        TaskError {
            kind: kind.into(),
            message: message.into(),
            traceback: None,
            module: None,
        }
    }
}
