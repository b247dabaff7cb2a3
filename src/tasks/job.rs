//! A job: a type of work with a name, an input and an output.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::context::TaskContext;
use super::record::TaskError;
use super::retry::RetryPolicy;
use super::task::Next;

/// A type of work. Each task of it is one call of [`Job::run`] per attempt.
///
/// A task's attempts never overlap under a live lease, but an attempt whose worker dies is
/// repeated: side effects of `run` happen at least once, and [`TaskContext::id`] makes them safe.
pub trait Job: Send + Sync + 'static {
    /// The name that submissions use.
    const NAME: &'static str;
    /// Other names of the job, such as the name of the Celery task that the job replaces.
    const ALIASES: &'static [&'static str] = &[];
    /// Whether the job calls AWS. Such a job runs on the worker's own thread, which has the connections to AWS,
    /// so the job must never compute for long or block.
    const CALLS_AWS: bool = false;
    /// The input of a task, read from the submission's JSON.
    type Input: DeserializeOwned + Send;
    /// The result of a task, stored as JSON.
    type Output: Serialize;

    /// The retry policy for failed attempts.
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
    }

    /// The longest time of one attempt, unless the submission sets another limit. An attempt that
    /// exceeds the limit fails its task, as in Celery.
    fn time_limit(&self) -> Option<Duration> {
        None
    }

    /// Does the work of one task. The future is dropped at an await point when the attempt's time is
    /// over, the lease is lost or the caller cancels the task.
    fn run(
        &self,
        input: Self::Input,
        context: &TaskContext,
    ) -> impl Future<Output = Result<Self::Output, JobError>> + Send;
}

/// Why an attempt failed. The job decides for each error whether another attempt can help.
#[derive(Debug)]
pub struct JobError {
    retry: Retry,
    kind: String,
    message: String,
    /// What few errors have, apart from the error itself because results with large errors are slow.
    details: Option<Box<Details>>,
}

/// What the error of a remote body may have beside kind and message.
#[derive(Debug, Default)]
struct Details {
    traceback: Option<String>,
    module: Option<String>,
    calls: Option<Box<RawValue>>,
    next: Option<Next>,
    is_rejected: bool,
}

/// Whether and when another attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No attempt follows: the same input would fail again.
    No,
    /// After the policy's backoff.
    Backoff,
    /// After this time, such as the time of a `Retry-After` header.
    After(Duration),
    /// After this time, and the attempt does not count against the policy's number of retries: the body
    /// counts its attempts itself.
    Asked(Duration),
    /// After this time or longer, as if the attempt had not begun: there was no capacity to run the body.
    Wait(Duration),
}

impl JobError {
    /// An error that another attempt may not meet. `kind` is a word for programs, `message` a
    /// sentence for people; readers of the task's record see both.
    pub fn transient(kind: impl Into<String>, message: impl Into<String>) -> JobError {
        JobError {
            retry: Retry::Backoff,
            kind: kind.into(),
            message: message.into(),
            details: None,
        }
    }

    /// An error that every attempt would meet.
    pub fn permanent(kind: impl Into<String>, message: impl Into<String>) -> JobError {
        JobError {
            retry: Retry::No,
            kind: kind.into(),
            message: message.into(),
            details: None,
        }
    }

    /// Asks for the next attempt after `delay`, in place of the policy's backoff.
    pub fn retry_after(mut self, delay: Duration) -> JobError {
        self.retry = Retry::After(delay);
        self
    }

    /// Sets whether and when another attempt follows.
    pub fn with_retry(mut self, retry: Retry) -> JobError {
        self.retry = retry;
        self
    }

    /// Adds a traceback for people, such as Python's.
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> JobError {
        self.details_mut().traceback = Some(traceback.into());
        self
    }

    /// Adds the module that defines the error's type, such as `builtins`.
    pub fn with_module(mut self, module: impl Into<String>) -> JobError {
        self.details_mut().module = Some(module.into());
        self
    }

    /// Adds the calls that the end of the run makes in place of those that follow from the task's origin;
    /// their form is the format's own.
    pub fn with_calls(mut self, calls: Box<RawValue>) -> JobError {
        self.details_mut().calls = Some(calls);
        self
    }

    /// Sets what the next attempt gets in place of what the task's message has.
    pub fn with_next(mut self, next: Next) -> JobError {
        self.details_mut().next = Some(next);
        self
    }

    /// Sends the task's message to the dead-letter queue when the run has failed with this error.
    pub fn rejected(mut self) -> JobError {
        self.details_mut().is_rejected = true;
        self
    }

    fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    /// Whether and when another attempt follows.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// The word for programs.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The traceback, if the error has one.
    pub fn traceback(&self) -> Option<&str> {
        self.details.as_ref()?.traceback.as_deref()
    }

    /// The module that defines the error's type, if known.
    pub fn module(&self) -> Option<&str> {
        self.details.as_ref()?.module.as_deref()
    }

    /// The calls that the end of the run makes; `None` for those that follow from the task's origin.
    pub fn calls(&self) -> Option<&RawValue> {
        self.details.as_ref()?.calls.as_deref()
    }

    /// What the next attempt gets in place of what the task's message has.
    pub fn next(&self) -> Option<&Next> {
        self.details.as_ref()?.next.as_ref()
    }

    /// Whether the message goes to the dead-letter queue when the run has failed.
    pub fn is_rejected(&self) -> bool {
        self.details
            .as_ref()
            .is_some_and(|details| details.is_rejected)
    }
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl Error for JobError {}

impl From<&JobError> for TaskError {
    fn from(error: &JobError) -> TaskError {
        TaskError {
            kind: error.kind().to_owned(),
            message: error.message().to_owned(),
            traceback: error.traceback().map(str::to_owned),
            module: error.module().map(str::to_owned),
        }
    }
}
