//! A job: a type of work with a name, an input and an output.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::TaskContext;
use super::retry::RetryPolicy;

/// A type of work. Each task of it is one call of [`Job::run`] per attempt.
///
/// A task's attempts never overlap under a live lease, but an attempt whose worker dies is
/// repeated: side effects of `run` happen at least once, and [`TaskContext::id`] makes them safe.
pub trait Job: Send + Sync + 'static {
    /// The name that submissions use.
    const NAME: &'static str;
    /// Other names of the job, such as the name of the Celery task that the job replaces.
    const ALIASES: &'static [&'static str] = &[];
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
}

impl JobError {
    /// An error that another attempt may not meet. `kind` is a word for programs, `message` a
    /// sentence for people; readers of the task's record see both.
    pub fn transient(kind: impl Into<String>, message: impl Into<String>) -> JobError {
        JobError {
            retry: Retry::Backoff,
            kind: kind.into(),
            message: message.into(),
        }
    }

    /// An error that every attempt would meet.
    pub fn permanent(kind: impl Into<String>, message: impl Into<String>) -> JobError {
        JobError {
            retry: Retry::No,
            kind: kind.into(),
            message: message.into(),
        }
    }

    /// Asks for the next attempt after `delay`, in place of the policy's backoff.
    pub fn retry_after(mut self, delay: Duration) -> JobError {
        self.retry = Retry::After(delay);
        self
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
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl Error for JobError {}
