//! A task in its message: the job, the input, the caller, the options and the origin.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::id::TaskId;
use super::wire::VERSION;
use crate::trace::Trace;

/// The longest name of a caller, in bytes.
pub const MAX_CALLER: usize = 1024;
/// The longest name of another wire format, in bytes.
pub const MAX_FORMAT: usize = 16;
/// The most effects of a task's end, and the longest name of an effect in bytes.
pub const MAX_EFFECTS: usize = 16;
/// See [`MAX_EFFECTS`].
pub const MAX_EFFECT: usize = 32;
/// The longest name of a schedule, in bytes.
pub const MAX_SCHEDULE: usize = 255;
/// The most retries that a submission may set.
pub const MAX_RETRIES: u32 = 100;
/// The longest time limit of an attempt, in seconds: Lambda's longest time-out.
pub const MAX_TIME_LIMIT: u64 = 900;
/// The longest time from now to a task's eta, in seconds: a year.
pub const MAX_WAIT: u64 = 365 * 24 * 3600;

/// One submission of a job. It is complete: a worker needs no other data to run the task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The version of the message's format.
    pub(super) v: u8,
    /// The task's id.
    pub id: TaskId,
    /// The name of the task's job.
    pub job: String,
    /// The number of the run, from 1. An ended task may run again under its id.
    #[serde(default = "first_run", skip_serializing_if = "is_first_run")]
    pub run: u32,
    /// When the task was accepted, in milliseconds since the Unix epoch.
    pub submitted_at: u64,
    /// The task's options.
    #[serde(default, skip_serializing_if = "Options::are_default")]
    pub options: Options,
    /// Who submitted the task; `None` without authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// A hash of the submission, if the submission has an idempotency key. Of two different submissions
    /// with one key, only the task whose record is written first runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The job's input as JSON text; `None` if the input is stored in chunks.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    input: Option<Box<RawValue>>,
    /// The number of the input's chunks in the table; 0 if the input is not stored in chunks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_chunks: u32,
    /// The other wire format that the task came in; `None` for a task in the service's own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The place of the message among the messages of the task's format that carry the same task on: 0 for
    /// the first, and greater for each message that the task has moved on to.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u32,
    /// The schedule that the task is one time of; `None` for all other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Scheduled>,
    /// The trace that the task was submitted in; `None` without one. A trace that is not valid is `None`.
    #[serde(
        default,
        deserialize_with = "valid",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace: Option<Trace>,
}

/// The schedule of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// The name of the schedule; at most [`MAX_SCHEDULE`] bytes.
    pub name: String,
    /// The task of the time before. This task is skipped if that task has not ended when this task is due.
    /// `None` for a schedule whose tasks may overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TaskId>,
}

/// What another wire format needs of a task's message at the task's end. The engine never reads the data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the format, such as `celery`; at most [`MAX_FORMAT`] bytes.
    pub format: String,
    /// The names of what the task's end sets off, such as `result`; at most [`MAX_EFFECTS`], each of at most
    /// [`MAX_EFFECT`] bytes. Empty for a task whose end concerns nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<String>,
    /// JSON text of the format's own; `None` if the data is stored in chunks.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    data: Option<Box<RawValue>>,
    /// The number of the data's chunks in the table; 0 if the data is not stored in chunks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub chunks: u32,
    /// What the format has made of the data.
    #[serde(skip)]
    parsed: OnceLock<Option<Arc<dyn Any + Send + Sync>>>,
}

/// What the next attempt gets in place of what the task's message has. The record keeps it until the run
/// is over.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Next {
    /// The input.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub input: Option<Box<RawValue>>,
    /// The data of the task's origin.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub origin: Option<Box<RawValue>>,
}

/// The options of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The earliest start of the first attempt, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<u64>,
    /// The expiry: the latest start of an attempt, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Attempts after the first, in place of the job's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, in place of the job's own time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u64>,
    /// The queue of the task.
    #[serde(default)]
    pub priority: Priority,
}

/// The priority of a task: each priority has its own queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// The queue of most tasks.
    #[default]
    Normal,
    /// A queue with workers of its own, for tasks whose submitters wait.
    High,
}

impl Task {
    /// The first run of a task, with the input in the message.
    pub fn new(id: impl Into<TaskId>, job: &str, input: Box<RawValue>, submitted_at: u64) -> Task {
        Task {
            v: VERSION,
            id: id.into(),
            job: job.to_owned(),
            run: first_run(),
            submitted_at,
            options: Options::default(),
            caller: None,
            fingerprint: None,
            input: Some(input),
            input_chunks: 0,
            origin: None,
            generation: 0,
            schedule: None,
            trace: None,
        }
    }

    /// The task of an attempt that follows on a retry with other data.
    pub fn with_next(&self, next: Next) -> Task {
        let mut task = self.clone();
        if let Some(input) = next.input {
            task.input = Some(input);
        }
        if let (Some(data), Some(origin)) = (next.origin, &mut task.origin) {
            origin.set_data(data);
        }
        task
    }

    /// Sets the options.
    pub fn with_options(mut self, options: Options) -> Task {
        self.options = options;
        self
    }

    /// The task's trace in an attempt, by the attempt's number. What the attempt calls, and what the end of
    /// the run sets off after it, is called from there. An attempt that is repeated has the same span.
    pub fn trace_in(&self, attempt: u32) -> Option<Trace> {
        let trace = self.trace.as_ref()?;
        Some(trace.within(&format!("{}/{}/{attempt}", self.id, self.run)))
    }

    /// The input; `None` if the input is stored in chunks.
    pub fn input(&self) -> Option<&RawValue> {
        self.input.as_deref()
    }

    /// Whether the task's end sets off anything.
    pub fn has_effects(&self) -> bool {
        let origin = self.origin.as_ref();
        origin.is_some_and(|origin| !origin.effects.is_empty())
    }

    /// Sets the input that was read from its chunks.
    pub fn set_input(&mut self, input: Box<RawValue>) {
        self.input = Some(input);
    }

    /// Removes the input, which is stored in this many chunks.
    pub fn without_input(&mut self, chunks: u32) {
        self.input = None;
        self.input_chunks = chunks;
    }

    /// Removes an input and an origin's data of more than `most` bytes, if they are stored in chunks.
    pub fn without_stored_over(&mut self, most: usize) {
        let is_large = |json: &Option<Box<RawValue>>| {
            let json = json.as_ref();
            json.is_some_and(|json| json.get().len() > most)
        };
        if self.input_chunks > 0 && is_large(&self.input) {
            self.input = None;
        }
        if let Some(origin) = &mut self.origin
            && origin.chunks > 0
            && is_large(&origin.data)
        {
            origin.data = None;
        }
    }
}

impl Origin {
    /// The origin of a task that came in this format, and whose end sets off these effects.
    pub fn new(format: &str, effects: Vec<String>, data: Box<RawValue>) -> Origin {
        Origin {
            format: format.to_owned(),
            effects,
            data: Some(data),
            chunks: 0,
            parsed: OnceLock::new(),
        }
    }

    /// An origin whose data is stored in so many chunks.
    pub fn stored(format: &str, effects: Vec<String>, chunks: u32) -> Origin {
        Origin {
            format: format.to_owned(),
            effects,
            data: None,
            chunks,
            parsed: OnceLock::new(),
        }
    }

    /// The data; `None` if the data is stored in chunks and was not read. A format gets every origin with
    /// its data.
    pub fn data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }

    /// What `parse` makes of the data: made once, and the same for each call and clone after it. `None` if
    /// there is no data, or `parse` refuses the data.
    pub fn parsed<T: Any + Send + Sync>(
        &self,
        parse: impl FnOnce(&RawValue) -> Option<T>,
    ) -> Option<Arc<T>> {
        let parsed = self.parsed.get_or_init(|| {
            let parsed: Arc<dyn Any + Send + Sync> = Arc::new(parse(self.data()?)?);
            Some(parsed)
        });
        parsed.clone()?.downcast().ok()
    }

    /// Sets the data that was read from its chunks.
    pub fn set_data(&mut self, data: Box<RawValue>) {
        self.data = Some(data);
        self.parsed = OnceLock::new();
    }
}

impl Options {
    /// The time from `now` to the eta; `None` if the task is due.
    pub fn wait(&self, now: u64) -> Option<Duration> {
        let left = self.eta?.saturating_sub(now);
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whether the expiry has passed.
    pub fn have_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn are_default(&self) -> bool {
        *self == Options::default()
    }
}

impl Priority {
    /// The priority's name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }

    /// The priority with this name.
    pub fn from_name(name: &str) -> Option<Priority> {
        [Priority::Normal, Priority::High]
            .into_iter()
            .find(|priority| priority.as_str() == name)
    }
}

fn first_run() -> u32 {
    1
}

fn is_first_run(run: &u32) -> bool {
    *run == first_run()
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Reads `null` as a value. By default, serde would read `null` as a missing value.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}

/// Reads a trace. What is no trace is left out: the task runs without one.
fn valid<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Trace>, D::Error> {
    let given = Option::<Box<RawValue>>::deserialize(from)?;
    Ok(given.and_then(|given| serde_json::from_str(given.get()).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_due_at_its_eta_and_expired_at_its_expiry() {
        let options = Options {
            eta: Some(10),
            expires: Some(20),
            ..Options::default()
        };
        assert_eq!(options.wait(9), Some(Duration::from_millis(1)));
        assert_eq!(options.wait(10), None);
        assert!(!options.have_expired(19) && options.have_expired(20));
        assert!(!Options::default().have_expired(u64::MAX));
    }
}
