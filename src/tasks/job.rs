//! What a job is: a type of work with a name, an input and an output.

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
    /// What a task is given; read from the submission's JSON.
    type Input: DeserializeOwned + Send;
    /// What a task results in; stored as JSON.
    type Output: Serialize;

    /// How failed attempts are repeated.
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
    }

    /// The longest time of one attempt, unless the submission names another. Beyond it the task has
    /// failed, as in Celery.
    fn time_limit(&self) -> Option<Duration> {
        None
    }

    /// Does the work of one task. Dropped at an await point when the attempt's time is up, its lease
    /// is lost or its caller cancels it.
    fn run(
        &self,
        input: Self::Input,
        context: &TaskContext,
    ) -> impl Future<Output = Result<Self::Output, JobError>> + Send;
}

/// Why an attempt failed. A job chooses by kind whether trying again can help.
#[derive(Debug)]
pub struct JobError {
    retry: Retry,
    kind: String,
    message: String,
}

/// Whether and when an attempt is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Never: the same input would fail again.
    No,
    /// After the policy's backoff.
    Backoff,
    /// After this time, such as a `Retry-After` asked for.
    After(Duration),
}

impl JobError {
    /// An error that trying again may mend. `kind` is a word for programs, `message` a sentence
    /// for people; both are shown to whoever reads the task's result.
    pub fn transient(kind: impl Into<String>, message: impl Into<String>) -> JobError {
        JobError {
            retry: Retry::Backoff,
            kind: kind.into(),
            message: message.into(),
        }
    }

    /// An error that stays, however often the task is tried.
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

    /// Whether and when to try again.
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
