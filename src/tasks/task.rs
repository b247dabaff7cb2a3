//! A task as it travels: what was asked for, by whom, and how it is to be run.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::wire::VERSION;

/// The longest name of a caller, in bytes.
pub const MAX_CALLER: usize = 1024;
/// The most retries that a submission may ask for.
pub const MAX_RETRIES: u32 = 100;
/// The longest time limit of an attempt, in seconds: Lambda's own.
pub const MAX_TIME_LIMIT: u64 = 900;
/// How far ahead a task may be due, in seconds: a year.
pub const MAX_WAIT: u64 = 365 * 24 * 3600;

/// One submission of a job: the whole of it, so that a worker needs nothing else to run it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The version of the message's form.
    pub(super) v: u8,
    /// The task.
    pub id: Uuid,
    /// The name of its job.
    pub job: String,
    /// Which run this is, from 1: a task that ended may be run again under its id.
    #[serde(default = "first_run", skip_serializing_if = "is_first_run")]
    pub run: u32,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub submitted_at: u64,
    /// How it is to be run.
    #[serde(default, skip_serializing_if = "Options::are_default")]
    pub options: Options,
    /// Who submitted it, where callers are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What a submission with an idempotency key asked for, as a hash. Of two submissions that use
    /// one key for different things, only the first to be recorded is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The job's input as JSON text, where it travels with the task.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    input: Option<Box<RawValue>>,
    /// How many chunks of the input are stored beside the record; 0 where it travels.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_chunks: u32,
}

/// How a task is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Not before this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<u64>,
    /// Not after this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Attempts after the first, in place of the job's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, in place of the job's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u64>,
    /// Which queue carries it.
    #[serde(default)]
    pub priority: Priority,
}

/// Which queue carries a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// The queue of most tasks.
    #[default]
    Normal,
    /// A queue with workers of its own, for what somebody waits for.
    High,
}

impl Task {
    /// A first run of a task whose input travels with it.
    pub fn new(id: Uuid, job: &str, input: Box<RawValue>, submitted_at: u64) -> Task {
        Task {
            v: VERSION,
            id,
            job: job.to_owned(),
            run: first_run(),
            submitted_at,
            options: Options::default(),
            caller: None,
            fingerprint: None,
            input: Some(input),
            input_chunks: 0,
        }
    }

    /// The same, to be run as these options say.
    pub fn with_options(mut self, options: Options) -> Task {
        self.options = options;
        self
    }

    /// The input, where it travels with the task.
    pub fn input(&self) -> Option<&RawValue> {
        self.input.as_deref()
    }

    /// Leaves the input behind: it is stored in this many chunks.
    pub fn without_input(&mut self, chunks: u32) {
        self.input = None;
        self.input_chunks = chunks;
    }
}

impl Options {
    /// How long from `now` the task is to wait, if at all.
    pub fn wait(&self, now: u64) -> Option<Duration> {
        let left = self.eta?.saturating_sub(now);
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whether the time in which it may begin is over.
    pub fn have_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn are_default(&self) -> bool {
        *self == Options::default()
    }
}

impl Priority {
    /// Its name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }

    /// The priority of a name.
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

/// `null` is an input too; without this it would be read as none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_limits_that_count_from_themselves() {
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
