//! Wire formats beside the service's own. A format makes tasks of its messages, and performs what their
//! ends set off. The engine knows no format: it stores a task's origin and gives the origin back.

use std::error::Error;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::job::JobError;
use super::record::{End, Progress, TaskError};
use super::registry::AnyJob;
use super::task::{Next, Task};
use crate::trace::Trace;

/// A wire format. All that it does may happen more than once, and on several workers at a time.
pub trait Format: Send + Sync {
    /// The name in the origins of the format's tasks: at most [`super::task::MAX_FORMAT`] bytes.
    fn name(&self) -> &'static str;

    /// Makes a task of a message; `None` for a message of another format. The task has an origin of this
    /// format. Every delivery of a message gives the same task.
    fn decode(&self, message: &Incoming<'_>) -> Option<Decoded>;

    /// The job's input, made of the task's input as it came in the message.
    ///
    /// # Errors
    /// When the input does not fit the job: the attempt has failed with this error.
    fn input(
        &self,
        task: &Task,
        job: &dyn AnyJob,
        input: Box<RawValue>,
    ) -> Result<Box<RawValue>, JobError>;

    /// The part of a remote body's request that is named as the format: the task as the format's own code
    /// reads it, in the attempt's trace. It stands in place of the input. `None` for a task whose body gets the
    /// input alone.
    fn remote(
        &self,
        _task: &Task,
        _input: &RawValue,
        _trace: Option<&Trace>,
    ) -> Option<Box<RawValue>> {
        None
    }

    /// Reads the part of a remote body's answer that is named as the format, before anything is written.
    ///
    /// # Errors
    /// When the part asks for what this service does not do, such as a message to an unknown queue: the
    /// attempt has failed with this error.
    fn answer(&self, _task: &Task, _part: &RawValue, _kind: AnswerKind) -> Result<Parts, JobError> {
        Ok(Parts::default())
    }

    /// Checks a job's output before the run ends with it. An output with calls of its own is not checked.
    ///
    /// # Errors
    /// When what the end sets off is impossible with this output: the attempt has failed with this error.
    fn check_output(&self, _task: &Task, _output: &str) -> Result<(), JobError> {
        Ok(())
    }

    /// Performs what the end of a run sets off: the end's calls if it has any, and otherwise all of the effects
    /// that the task's origin names. The end of a task whose stored result is lost comes with an error in place
    /// of the result. The call is repeated until it succeeds, and may be repeated after it has succeeded, even
    /// after a later run has ended. So the ids of what it sends are derived from the task's id and the run, and
    /// it writes nothing over what a later run has written.
    fn perform<'a>(
        &'a self,
        task: &'a Task,
        end: &'a End,
    ) -> BoxFuture<'a, Result<(), EffectError>>;

    /// Whether [`Format::perform`] needs the input of a task, even if the input is stored in chunks.
    fn needs_input(&self, _task: &Task) -> bool {
        false
    }

    /// Tells the task's client that an attempt began, or that another attempt follows. Nobody repeats the
    /// call, the call is dropped after a third of the lease, and the task goes on in any case.
    fn entered<'a>(&'a self, _task: &'a Task, _entered: Entered<'a>) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A message that is not of the service's own format.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The body.
    pub body: &'a str,
    /// When the message was sent, in milliseconds since the Unix epoch.
    pub sent_at: Option<u64>,
    /// The present time, in milliseconds since the Unix epoch.
    pub now: u64,
}

/// What a format reads in a message of its own.
#[derive(Debug)]
pub enum Decoded {
    /// A task to run.
    Task(Box<Task>),
    /// A task that cannot run: it fails with this error, and its message is dead-lettered.
    Refused {
        /// The task.
        task: Box<Task>,
        /// Why the task cannot run.
        error: TaskError,
    },
    /// A message without a readable id: it is dead-lettered with this reason. The reason does not quote the
    /// message.
    Malformed(String),
}

/// What a remote body answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// A result.
    Result,
    /// An error, with or without another attempt.
    Error,
    /// The body asks for another attempt.
    Retry,
    /// The run ends without a result that anybody gets.
    Ignore,
    /// The body refuses the message.
    Reject,
    /// The task goes on in another message.
    Moved,
}

/// What a format reads in its part of an answer.
#[derive(Debug, Default)]
pub struct Parts {
    /// The calls that the end of the run makes, or after [`AnswerKind::Retry`] the calls that tell the task's
    /// client of the retry; `None` for what follows from the task's origin.
    pub calls: Option<Box<RawValue>>,
    /// What the next attempt gets; only after [`AnswerKind::Retry`].
    pub next: Option<Next>,
}

/// What a running task enters.
#[derive(Debug, Clone, Copy)]
pub enum Entered<'a> {
    /// A worker begins an attempt.
    Running {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The worker's name.
        worker: &'a str,
    },
    /// The job reported its progress.
    Progress {
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The report.
        progress: &'a Progress,
    },
    /// The attempt failed, and another attempt follows.
    Retrying {
        /// The number of the failed attempt, from 1.
        attempt: u32,
        /// Why the attempt failed.
        error: &'a TaskError,
        /// The time to the next attempt.
        delay: Duration,
        /// The calls that tell the client, as the format read them in the body's answer.
        calls: Option<&'a RawValue>,
    },
}

/// Why what an end sets off is not done.
#[derive(Debug)]
pub enum EffectError {
    /// A later try may succeed: the message is delivered again after a backoff.
    Transient(Box<dyn Error + Send + Sync>),
    /// It is not time yet: the message is delivered again after this time.
    Later(Duration),
    /// No try succeeds: the message is dead-lettered with this reason, and the effects count as done. The
    /// reason does not quote the message.
    Permanent(String),
}
