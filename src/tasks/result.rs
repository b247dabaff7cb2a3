//! `GET /result/{task_id}`: a task's state, folded into what the replaced service's clients know.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::state::State;
use crate::store::tasks::TaskRecord;

/// What a client is told of a task.
#[derive(Debug, Serialize)]
pub struct TaskResult {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<TaskError>,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// A word for programs.
    #[serde(rename = "type")]
    pub kind: String,
    /// A sentence for people.
    pub message: String,
}

impl From<TaskRecord> for TaskResult {
    fn from(record: TaskRecord) -> TaskResult {
        let status = match record.state {
            State::Scheduled | State::Pending | State::Running | State::Retrying => "pending",
            ended => ended.as_str(),
        };
        let is = |state| record.state == state;
        TaskResult {
            status,
            result: record.result.filter(|_| is(State::Completed)),
            // A retrying task has an error too, but it is not the task's end.
            error: record.error.filter(|_| is(State::Failed)),
        }
    }
}
