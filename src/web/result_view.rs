//! `GET /result/{task_id}`: a task's state, reduced to the states that clients of the replaced service
//! know.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::jobs::TaskErrorSchema;
use crate::tasks::id::TaskId;
use crate::tasks::record::{TaskError, TaskRecord};
use crate::tasks::state::State;

/// The state of a task, and its result or error after the end.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskResult {
    /// `pending` until the task has ended, then the final state.
    #[schema(value_type = ResultStatus)]
    status: &'static str,
    /// The output of the job, if the task is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// The error, if the task has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
}

/// The state of a task, with `pending` for every state before the end.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum ResultStatus {
    /// The task waits or runs.
    Pending,
    /// The task has a result.
    Completed,
    /// The task ended with an error.
    Failed,
    /// The caller cancelled the task.
    Cancelled,
    /// The task expired before its first attempt.
    Expired,
}

/// The id of an accepted task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"task_id": "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e"}))]
pub struct Accepted {
    /// The id of the task.
    #[schema(value_type = String, format = "uuid")]
    pub task_id: TaskId,
}

impl From<TaskRecord> for TaskResult {
    fn from(record: TaskRecord) -> TaskResult {
        let status = match record.state {
            State::Scheduled | State::Pending | State::Running | State::Retrying => "pending",
            // The task goes on in another message.
            State::Moved => "pending",
            ended => ended.as_str(),
        };
        let is = |state| record.state == state;
        TaskResult {
            status,
            result: record.result.filter(|_| is(State::Completed)),
            // A retrying task has an error too, which is only the error of an attempt.
            error: record.error.filter(|_| is(State::Failed)),
        }
    }
}
