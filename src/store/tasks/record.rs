//! A task's record, as it is read.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::names::*;
use super::{TaskStore, chunks, state};
use crate::store::StoreError;
use crate::store::keys::{self, Row, number, text};
use crate::tasks::result::TaskError;
use crate::tasks::state::State;
use crate::tasks::task::{Options, Priority, Task};

/// All that is known of a task. Times are milliseconds since the Unix epoch.
#[derive(Debug)]
pub struct TaskRecord {
    /// The task.
    pub id: Uuid,
    /// Its job; `None` where only an unreadable message told of it.
    pub job: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Which run of it this is, from 1.
    pub run: u32,
    /// How it is to be run.
    pub options: Options,
    /// Who submitted it, where callers are known.
    pub caller: Option<String>,
    /// What its submission asked for, where it came with an idempotency key.
    pub fingerprint: Option<String>,
    /// When it was accepted.
    pub created_at: u64,
    /// When the first attempt of this run began.
    pub started_at: Option<u64>,
    /// When it ended.
    pub finished_at: Option<u64>,
    /// When the next attempt is due.
    pub next_at: Option<u64>,
    /// When the present attempt's lease ends unless it is extended.
    pub lease_until: Option<u64>,
    /// When its caller asked for its end, where a worker had it.
    pub cancel_requested_at: Option<u64>,
    /// How far it says it is.
    pub progress: Option<Progress>,
    /// The attempts of this run.
    pub attempts: Vec<Attempt>,
    /// What it gave.
    pub result: Option<Box<RawValue>>,
    /// Why its last attempt failed.
    pub error: Option<TaskError>,
}

/// How far a task says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in units of the job's own.
    pub done: u64,
    /// What there is to do, where it is known.
    pub total: Option<u64>,
    /// A sentence for people.
    pub message: Option<String>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub started_at: u64,
    /// When it ended; `None` while it runs, and where its worker died.
    pub ended_at: Option<u64>,
    /// How it ended: `completed`, `failed`, `continued` or `cancelled`.
    pub outcome: Option<String>,
    /// Which worker made it.
    pub worker: Option<String>,
    /// Why it failed.
    pub error: Option<TaskError>,
}

/// A record as its row tells it.
#[derive(Debug)]
pub struct Peeked {
    /// The record, without a result that is stored beside it.
    pub record: TaskRecord,
    pub(super) row: Row,
}

impl TaskStore {
    /// A record with what is stored beside it.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn whole(&self, peeked: Peeked) -> Result<TaskRecord, StoreError> {
        let Peeked { mut record, row } = peeked;
        let chunks: Option<u32> = keys::find_number(&row, RESULT_CHUNKS)?;
        if let Some(count) = chunks.filter(|_| record.state == State::Completed) {
            let first = keys::get_number(&row, RESULT_PART)?;
            record.result = Some(self.stored_result(record.id, first, count).await?);
        }
        Ok(record)
    }
}

/// Reads a record without what is stored beside it.
pub(super) fn read(id: Uuid, row: &Row) -> Result<TaskRecord, StoreError> {
    let result = keys::find_text(row, RESULT)
        .map(RawValue::from_string)
        .transpose();
    Ok(TaskRecord {
        id,
        job: keys::find_text(row, JOB),
        state: state(row)?,
        run: keys::get_number(row, RUN)?,
        options: options(row)?,
        caller: keys::find_text(row, CALLER),
        fingerprint: keys::find_text(row, FINGERPRINT),
        created_at: keys::get_number(row, CREATED_AT)?,
        started_at: keys::find_number(row, STARTED_AT)?,
        finished_at: keys::find_number(row, FINISHED_AT)?,
        next_at: keys::find_number(row, NEXT_AT)?,
        lease_until: keys::find_number(row, LEASE_UNTIL)?,
        cancel_requested_at: keys::find_number(row, CANCEL_REQUESTED_AT)?,
        progress: row.get(PROGRESS).map(progress).transpose()?,
        attempts: attempts(row)?,
        result: result.map_err(|_| StoreError::Corrupt("the result is no JSON".to_owned()))?,
        error: error(row),
    })
}

/// The task that a record tells of, as its next run: at once, and without an end to its time.
pub(super) fn next_run(id: Uuid, row: &Row, now: u64) -> Result<Option<Task>, StoreError> {
    let (Some(job), Some(input)) = (keys::find_text(row, JOB), input(row)?) else {
        return Ok(None);
    };
    let mut task = Task::new(id, &job, input, now);
    let run: u32 = keys::get_number(row, RUN)?;
    task.run = run.saturating_add(1);
    task.submitted_at = keys::get_number(row, CREATED_AT)?;
    task.options = Options {
        eta: None,
        expires: None,
        ..options(row)?
    };
    task.caller = keys::find_text(row, CALLER);
    task.fingerprint = keys::find_text(row, FINGERPRINT);
    if let Some(chunks) = keys::find_number(row, INPUT_CHUNKS)? {
        task.without_input(chunks);
    }
    Ok(Some(task))
}

/// The input, or `null` in its place where it is stored in chunks.
fn input(row: &Row) -> Result<Option<Box<RawValue>>, StoreError> {
    let text = match keys::find_text(row, INPUT) {
        None if row.contains_key(INPUT_CHUNKS) => "null".to_owned(),
        None => return Ok(None),
        Some(text) => text,
    };
    chunks::json(text).map(Some)
}

fn options(row: &Row) -> Result<Options, StoreError> {
    let priority = keys::find_text(row, PRIORITY);
    let priority = priority.and_then(|name| Priority::from_name(&name));
    Ok(Options {
        eta: keys::find_number(row, ETA)?,
        expires: keys::find_number(row, EXPIRES)?,
        max_retries: keys::find_number(row, MAX_RETRIES)?,
        time_limit: keys::find_number(row, TIME_LIMIT)?,
        priority: priority.unwrap_or_default(),
    })
}

fn error(row: &Row) -> Option<TaskError> {
    Some(TaskError {
        kind: keys::find_text(row, ERROR_KIND)?,
        message: keys::find_text(row, ERROR_MESSAGE).unwrap_or_default(),
    })
}

fn attempts(row: &Row) -> Result<Vec<Attempt>, StoreError> {
    let entries = row.get(HISTORY).and_then(|list| list.as_l().ok());
    let maps = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.as_m().ok());
    maps.map(attempt).collect()
}

fn attempt(entry: &Row) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        started_at: keys::get_number(entry, STARTED_AT)?,
        ended_at: keys::find_number(entry, "ended_at")?,
        outcome: keys::find_text(entry, "outcome"),
        worker: keys::find_text(entry, WORKER),
        error: error(entry),
    })
}

fn progress(value: &AttributeValue) -> Result<Progress, StoreError> {
    let map = value
        .as_m()
        .map_err(|_| StoreError::Corrupt("progress is no map".to_owned()))?;
    Ok(Progress {
        done: keys::get_number(map, "done")?,
        total: keys::find_number(map, "total")?,
        message: keys::find_text(map, "message"),
    })
}

/// Progress, as it stands in a record.
pub(super) fn progress_value(progress: &Progress) -> AttributeValue {
    let mut map = HashMap::from([("done".to_owned(), number(progress.done))]);
    if let Some(total) = progress.total {
        map.insert("total".to_owned(), number(total));
    }
    if let Some(message) = &progress.message {
        map.insert("message".to_owned(), text(message));
    }
    AttributeValue::M(map)
}
