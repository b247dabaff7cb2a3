//! What an attempt gives the write that ends it.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::clock::now_ms;
use crate::dynamodb::ConditionalPut;
use crate::tasks::record::TaskError;
use crate::tasks::task::Next;

/// The failure of an attempt, and what follows.
#[derive(Debug, Clone, Copy)]
pub struct TaskFailure<'a> {
    /// Why the attempt failed.
    pub error: &'a TaskError,
    /// The time from now to the next attempt; `None` if no attempt follows.
    pub retry_in: Option<Duration>,
    /// Whether the attempt counts against the retry limit.
    pub is_counted: bool,
    /// What further attempts get; `None` to keep what this attempt got.
    pub next: Option<&'a Next>,
    /// What belongs to the end of the run, if no attempt follows.
    pub end: RunEnd<'a>,
    /// Whether the message goes to the dead-letter queue, if no attempt follows.
    pub is_rejected: bool,
}

impl<'a> TaskFailure<'a> {
    /// A failure that counts, and sets off what the task's origin names.
    pub fn new(error: &'a TaskError, retry_in: Option<Duration>) -> TaskFailure<'a> {
        TaskFailure {
            error,
            retry_in,
            is_counted: true,
            next: None,
            end: RunEnd::now(),
            is_rejected: false,
        }
    }
}

/// What belongs to the end of a run, however the run ends.
#[derive(Debug, Clone, Copy)]
pub struct RunEnd<'a> {
    /// When the run ended, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What the end sets off.
    pub sets_off: SetsOff<'a>,
}

/// What the end of a run sets off.
#[derive(Debug, Clone, Copy)]
pub enum SetsOff<'a> {
    /// What the task's origin names.
    Origin,
    /// These calls in place of what the task's origin names.
    Calls(&'a RawValue),
    /// This put alone. The put is made in one transaction with the end, and the effects are done.
    Put(&'a ConditionalPut),
    /// Nothing: the effects are done.
    Nothing,
}

impl RunEnd<'_> {
    /// An end at the present time, which sets off what the task's origin names.
    pub fn now() -> RunEnd<'static> {
        RunEnd {
            at: now_ms(),
            sets_off: SetsOff::Origin,
        }
    }
}
