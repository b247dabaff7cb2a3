//! The row of a record, read by `serde_dynamo`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chunks::{self, Stored};
use crate::dynamodb::{Row, StoreError};
use crate::tasks::id::TaskId;
use crate::tasks::record::{Attempt, Progress, TaskError, TaskRecord};
use crate::tasks::state::State;
use crate::tasks::task::{Options, Origin, Priority, Scheduled, Task};
use crate::trace::Trace;

/// The attributes of a record, by the names of [`super::names`].
#[derive(Debug, Deserialize)]
pub(super) struct RecordRow {
    job: Option<String>,
    pub state: State,
    run: u32,
    eta: Option<u64>,
    expires: Option<u64>,
    max_retries: Option<u32>,
    time_limit: Option<u64>,
    #[serde(default)]
    priority: Priority,
    pub caller: Option<String>,
    fingerprint: Option<String>,
    input: Option<String>,
    input_chunks: Option<u32>,
    origin: Option<String>,
    origin_data: Option<String>,
    origin_chunks: Option<u32>,
    schedule: Option<String>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    #[serde(default)]
    effects: Vec<String>,
    effects_done: Option<u32>,
    calls: Option<String>,
    calls_chunks: Option<u32>,
    calls_part: Option<u32>,
    #[serde(default)]
    is_rejected: bool,
    next: Option<String>,
    next_chunks: Option<u32>,
    next_part: Option<u32>,
    #[serde(default)]
    generation: u32,
    #[serde(default)]
    attempts: u32,
    created_at: u64,
    started_at: Option<u64>,
    pub finished_at: Option<u64>,
    next_at: Option<u64>,
    lease_until: Option<u64>,
    cancel_requested_at: Option<u64>,
    progress: Option<Progress>,
    #[serde(default)]
    history: Vec<AttemptRow>,
    result: Option<String>,
    result_chunks: Option<u32>,
    result_part: Option<u32>,
    error_type: Option<String>,
    error_message: Option<String>,
    error_traceback: Option<String>,
    error_module: Option<String>,
    expires_at: Option<u64>,
}

/// An entry of the attribute `history`.
#[derive(Debug, Deserialize)]
struct AttemptRow {
    started_at: u64,
    ended_at: Option<u64>,
    outcome: Option<String>,
    worker: Option<String>,
    error_type: Option<String>,
    error_message: Option<String>,
}

/// A record, and the place of a large result.
#[derive(Debug)]
pub struct Found {
    /// The record; its result is absent if the result is stored in chunks.
    pub record: TaskRecord,
    /// The chunks of a large result.
    pub(super) result_chunks: Option<Stored>,
    /// The calls that the end of the run makes.
    pub(super) calls: Option<Stored>,
    /// Whether the task's message goes to the dead-letter queue after the end of the run.
    pub(super) is_rejected: bool,
    /// What further attempts of the run get.
    pub(super) next: Option<Stored>,
}

impl RecordRow {
    /// Reads a row.
    ///
    /// # Errors
    /// When an attribute is missing or has another type.
    pub fn read(row: Row) -> Result<RecordRow, StoreError> {
        serde_dynamo::from_item(row).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Whether the record's time has passed; see [`crate::dynamodb::row::is_expired`].
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at
            .is_some_and(|seconds| seconds <= now_ms / 1000)
    }

    /// The record of the task `id`.
    ///
    /// # Errors
    /// When the result is not JSON.
    pub fn into_found(self, id: &TaskId) -> Result<Found, StoreError> {
        let (options, trace) = (self.options(), self.trace());
        let chunks = self
            .result_chunks
            .filter(|_| self.state == State::Completed);
        let result_chunks = Stored::from(None, chunks, self.result_part)?;
        let calls = Stored::from(self.calls, self.calls_chunks, self.calls_part)?;
        let next = Stored::from(self.next, self.next_chunks, self.next_part)?;
        let mut error = error(self.error_type, self.error_message);
        if let Some(error) = &mut error {
            error.traceback = self.error_traceback;
            error.module = self.error_module;
        }
        let record = TaskRecord {
            id: id.clone(),
            job: self.job,
            state: self.state,
            run: self.run,
            options,
            caller: self.caller,
            fingerprint: self.fingerprint,
            origin: self.origin,
            origin_data: self.origin_data.map(chunks::json).transpose()?,
            schedule: self.schedule,
            trace,
            input: self.input.map(chunks::json).transpose()?,
            are_effects_done: self.state.is_final() && self.effects_done == Some(self.run),
            effects: self.effects,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            next_at: self.next_at,
            lease_until: self.lease_until,
            cancel_requested_at: self.cancel_requested_at,
            progress: self.progress,
            attempt: self.attempts,
            attempts: self.history.into_iter().map(Attempt::from).collect(),
            result: self.result.map(chunks::json).transpose()?,
            error,
        };
        Ok(Found {
            record,
            result_chunks,
            calls,
            is_rejected: self.is_rejected,
            next,
        })
    }

    /// Whether the run has ended, and what its end sets off is not done.
    pub fn has_effects_left(&self) -> bool {
        let is_done = self.effects_done == Some(self.run);
        let has_calls = self.calls.is_some() || self.calls_chunks.is_some();
        let has_effects = !self.effects.is_empty() || has_calls || self.is_rejected;
        self.state.is_final() && has_effects && !is_done
    }

    /// The next run of the task `id`, due at once and without an expiry; `None` if the record does
    /// not hold the job, the input or the origin's data.
    ///
    /// # Errors
    /// When the input or the origin's data is not JSON.
    pub fn next_run(self, id: &TaskId, now: u64) -> Result<Option<Task>, StoreError> {
        let run = self.run.saturating_add(1);
        let mut task = self.message(id, now)?;
        if let Some(task) = &mut task {
            task.run = run;
        }
        Ok(task)
    }

    /// The message of the task's present run, due at once and without an expiry; `None` as for
    /// [`RecordRow::next_run`].
    ///
    /// # Errors
    /// When the input or the origin's data is not JSON.
    pub fn message(self, id: &TaskId, now: u64) -> Result<Option<Task>, StoreError> {
        let options = Options {
            eta: None,
            expires: None,
            ..self.options()
        };
        let trace = self.trace();
        let input = match (self.input, self.input_chunks) {
            (Some(input), _) => chunks::json(input)?,
            (None, Some(_)) => RawValue::NULL.to_owned(),
            (None, None) => return Ok(None),
        };
        let origin = match (self.origin, self.origin_data, self.origin_chunks) {
            (None, ..) => None,
            (Some(format), Some(data), _) => {
                Some(Origin::new(&format, self.effects, chunks::json(data)?))
            }
            (Some(format), None, Some(chunks)) => {
                Some(Origin::stored(&format, self.effects, chunks))
            }
            (Some(_), None, None) => return Ok(None),
        };
        let Some(job) = self.job else {
            return Ok(None);
        };
        let mut task = Task::new(id.clone(), &job, input, now).with_options(options);
        task.run = self.run;
        task.submitted_at = self.created_at;
        task.caller = self.caller;
        task.fingerprint = self.fingerprint;
        task.origin = origin;
        task.generation = self.generation;
        task.trace = trace;
        task.schedule = self.schedule.map(|name| Scheduled { name, after: None });
        if let Some(chunks) = self.input_chunks {
            task.without_input(chunks);
        }
        Ok(Some(task))
    }

    fn trace(&self) -> Option<Trace> {
        Trace::new(self.traceparent.as_deref()?, self.tracestate.as_deref())
    }

    fn options(&self) -> Options {
        Options {
            eta: self.eta,
            expires: self.expires,
            max_retries: self.max_retries,
            time_limit: self.time_limit,
            priority: self.priority,
        }
    }
}

impl From<AttemptRow> for Attempt {
    fn from(row: AttemptRow) -> Attempt {
        Attempt {
            started_at: row.started_at,
            ended_at: row.ended_at,
            outcome: row.outcome,
            worker: row.worker,
            error: error(row.error_type, row.error_message),
        }
    }
}

fn error(kind: Option<String>, message: Option<String>) -> Option<TaskError> {
    Some(TaskError::new(kind?, message.unwrap_or_default()))
}
