//! The table of tasks. Each task has one record, and every write to a record is an event of
//! [`crate::tasks::state`].
//!
//! A task's partition holds its record (part 0), the chunks of a large input or result, and the
//! checkpoints of its job.

mod attempt;
mod cancel;
mod census;
mod chunks;
mod claim;
mod continued;
mod effects;
mod large;
mod list;
mod read;
mod reject;
mod restart;
mod row;
mod skip;
mod submit;
mod update;

pub use attempt::{Fenced, Reported, TaskFailure};
pub use cancel::Cancelled;
pub use census::Count;
pub use chunks::{MAX_RESULT, Saved};
pub use claim::{ClaimOutcome, Lease};
pub use continued::Place;
pub use effects::Unfinished;
pub use large::{MAX_INPUT, StoredInput};
pub use list::{ListQuery, TaskPosition};
pub use reject::Rejected;
pub use restart::{NextRun, Restarted};
pub use row::Found;
pub use submit::Submitted;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::dynamodb::StoreError;
use crate::dynamodb::row::{ID, Row, get_text, number, text};
use crate::tasks::counts::CountStore;
use crate::tasks::id::TaskId;
use crate::tasks::state::State;
use crate::tasks::task::{Origin, Task};

/// The names of a record's attributes.
mod names {
    pub const JOB: &str = "job";
    pub const RUN: &str = "run";
    pub const STATE: &str = "state";
    pub const ATTEMPTS: &str = "attempts";
    /// The number of attempts that saved checkpoints and ended with their invocation.
    pub const CONTINUATIONS: &str = "continuations";
    pub const HISTORY: &str = "history";
    pub const CREATED_AT: &str = "created_at";
    pub const ETA: &str = "eta";
    /// The expiry: after this time a waiting task begins no attempt. `expires_at` is the record's end.
    pub const EXPIRES: &str = "expires";
    pub const MAX_RETRIES: &str = "max_retries";
    pub const TIME_LIMIT: &str = "time_limit";
    pub const PRIORITY: &str = "priority";
    pub const CALLER: &str = "caller";
    pub const FINGERPRINT: &str = "fingerprint";
    pub const INPUT: &str = "input";
    pub const INPUT_CHUNKS: &str = "input_chunks";
    /// The name of the wire format that the task came in, and the format's data.
    pub const ORIGIN: &str = "origin";
    pub const ORIGIN_DATA: &str = "origin_data";
    pub const ORIGIN_CHUNKS: &str = "origin_chunks";
    /// The names of what the task's end sets off.
    pub const EFFECTS: &str = "effects";
    /// The name of the task's schedule, and the partition of the list of one schedule's tasks.
    pub const SCHEDULE: &str = "schedule";
    /// The task that had not ended when this task of a schedule was due.
    pub const SKIPPED_FOR: &str = "skipped_for";
    /// The number of the last run whose effects are done.
    pub const EFFECTS_DONE: &str = "effects_done";
    /// The calls that the end of the run makes; the number of their chunks, and the part of the first.
    pub const CALLS: &str = "calls";
    pub const CALLS_CHUNKS: &str = "calls_chunks";
    pub const CALLS_PART: &str = "calls_part";
    /// Whether the task's message goes to the dead-letter queue after the end of the run.
    pub const REJECTED: &str = "is_rejected";
    /// What further attempts of the run get; the number of the chunks, and the part of the first.
    pub const NEXT: &str = "next";
    pub const NEXT_CHUNKS: &str = "next_chunks";
    pub const NEXT_PART: &str = "next_part";
    /// The place of the message among the messages that carry the same task on.
    pub const GENERATION: &str = "generation";
    pub const STARTED_AT: &str = "started_at";
    pub const FINISHED_AT: &str = "finished_at";
    pub const NEXT_AT: &str = "next_at";
    pub const CANCEL_REQUESTED_AT: &str = "cancel_requested_at";
    pub const LEASE_UNTIL: &str = "lease_until";
    pub const LEASE_TOKEN: &str = "lease_token";
    pub const WORKER: &str = "worker";
    pub const PROGRESS: &str = "progress";
    pub const RESULT: &str = "result";
    pub const RESULT_CHUNKS: &str = "result_chunks";
    /// The part in which the result's chunks begin.
    pub const RESULT_PART: &str = "result_part";
    pub const ERROR_KIND: &str = "error_type";
    pub const ERROR_MESSAGE: &str = "error_message";
    pub const ERROR_TRACEBACK: &str = "error_traceback";
    pub const ERROR_MODULE: &str = "error_module";
    /// The partition of the list of all tasks.
    pub const LIST_SHARD: &str = "list_shard";
    /// The partition of the list of one caller's tasks.
    pub const CALLER_SHARD: &str = "caller_shard";
    /// The key in the lists.
    pub const LIST_KEY: &str = "list_key";
    /// The partition of the list of one state's tasks; only for rare states.
    pub const STATE_SHARD: &str = "state_shard";
}

/// The sort key of the table.
const PART: &str = "part";
/// The part of a task that is its record.
const RECORD: u32 = 0;

/// The most characters of an error's message in the record, and in an attempt's history.
pub const MAX_ERROR: usize = 4_000;
const MAX_PAST_ERROR: usize = 300;
/// The most characters of a traceback and of a module's name in the record.
const MAX_TRACEBACK: usize = 8_000;
const MAX_MODULE: usize = 300;
/// The most attempts in a record's history. A run has more attempts only if its body asks for them; of these
/// the number is kept.
const MAX_HISTORY: u32 = 100;

/// The records of tasks.
#[derive(Debug, Clone)]
pub struct TaskStore {
    client: Client,
    table: String,
    retention: Duration,
}

impl TaskStore {
    /// Records in `table`, kept for `retention` after their tasks end.
    pub fn new(client: Client, table: String, retention: Duration) -> TaskStore {
        TaskStore {
            client,
            table,
            retention,
        }
    }

    /// The rows of numbers, in the same table.
    pub fn counts(&self) -> CountStore {
        CountStore::new(self.client.clone(), self.table.clone())
    }
}

/// The attributes that describe the task. The first writer of the record sets them.
fn description(task: &Task) -> Vec<(&'static str, AttributeValue)> {
    use names::*;
    let options = &task.options;
    let optional = [
        (ETA, options.eta.map(number)),
        (EXPIRES, options.expires.map(number)),
        (MAX_RETRIES, options.max_retries.map(number)),
        (TIME_LIMIT, options.time_limit.map(number)),
        (CALLER, task.caller.as_ref().map(text)),
        (
            CALLER_SHARD,
            task.caller.as_ref().map(|caller| {
                let shard = list::shard(&task.id);
                text(list::caller_shard(caller, shard))
            }),
        ),
        (FINGERPRINT, task.fingerprint.as_ref().map(text)),
        (
            GENERATION,
            (task.generation > 0).then(|| number(task.generation)),
        ),
        (
            SCHEDULE,
            task.schedule.as_ref().map(|schedule| text(&schedule.name)),
        ),
        (INPUT, large::record_input(task).map(text)),
        (
            INPUT_CHUNKS,
            (task.input_chunks > 0).then(|| number(task.input_chunks)),
        ),
    ];
    let always = [
        (JOB, text(&task.job)),
        (CREATED_AT, number(task.submitted_at)),
        (PRIORITY, text(options.priority.as_str())),
        (LIST_SHARD, number(list::shard(&task.id))),
        (LIST_KEY, list::list_key(&task.id, task.submitted_at)),
    ];
    let given = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let origin = task.origin.iter().flat_map(origin_description);
    always.into_iter().chain(given).chain(origin).collect()
}

/// The attributes that describe the task's origin.
fn origin_description(origin: &Origin) -> Vec<(&'static str, AttributeValue)> {
    use names::*;
    let mut described = vec![(ORIGIN, text(&origin.format))];
    described.extend(large::record_origin(origin).map(|data| (ORIGIN_DATA, text(data))));
    if origin.chunks > 0 {
        described.push((ORIGIN_CHUNKS, number(origin.chunks)));
    }
    if !origin.effects.is_empty() {
        let effects = origin.effects.iter().map(text).collect();
        described.push((EFFECTS, AttributeValue::L(effects)));
    }
    described
}

fn key(id: &TaskId, part: u32) -> Row {
    Row::from([
        (ID.to_owned(), text(id.as_str())),
        (PART.to_owned(), number(part)),
    ])
}

/// The state in a row.
fn state(row: &Row) -> Result<State, StoreError> {
    let name = get_text(row, names::STATE)?;
    State::from_name(&name).ok_or_else(|| StoreError::Corrupt(format!("a state {name:?}")))
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
