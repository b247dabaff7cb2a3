//! Jobs by name, with their types erased.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::context::TaskContext;
use super::fields;
use super::job::{Job, JobError};
use super::retry::RetryPolicy;

/// A job with its types erased, for the worker.
pub trait AnyJob: Send + Sync {
    /// The retry policy for failed attempts.
    fn retry_policy(&self) -> RetryPolicy;
    /// The longest time of one attempt.
    fn time_limit(&self) -> Option<Duration>;
    /// The names of the fields of the input, in order; empty for an input that is not a structure.
    fn fields(&self) -> &'static [&'static str];
    /// One attempt: JSON in, JSON out.
    fn run(
        self: Arc<Self>,
        input: Box<RawValue>,
        context: TaskContext,
    ) -> BoxFuture<'static, Result<String, JobError>>;
}

impl<J: Job> AnyJob for J {
    fn retry_policy(&self) -> RetryPolicy {
        Job::retry_policy(self)
    }

    fn time_limit(&self) -> Option<Duration> {
        Job::time_limit(self)
    }

    fn fields(&self) -> &'static [&'static str] {
        fields::of::<J::Input>()
    }

    fn run(
        self: Arc<Self>,
        input: Box<RawValue>,
        context: TaskContext,
    ) -> BoxFuture<'static, Result<String, JobError>> {
        Box::pin(async move {
            let input = parse_input::<J>(&input)
                .map_err(|error| JobError::permanent("InvalidInput", error.to_string()))?;
            let output = Job::run(self.as_ref(), input, &context).await?;
            serde_json::to_string(&output)
                .map_err(|error| JobError::permanent("InvalidOutput", error.to_string()))
        })
    }
}

/// The jobs that a worker runs.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn AnyJob>>);

impl Registry {
    /// Adds a job under its name, and under its names in other formats.
    ///
    /// # Panics
    /// When two jobs have the same name: a mistake in the list of jobs.
    pub fn with<J: Job>(self, job: J) -> Registry {
        let job: Arc<dyn AnyJob> = Arc::new(job);
        let names = J::ALIASES.iter().copied().chain([J::NAME]);
        names.fold(self, |jobs, name| jobs.with_any(name, Arc::clone(&job)))
    }

    /// Adds a job under a name.
    ///
    /// # Panics
    /// As [`Registry::with`].
    pub fn with_any(mut self, name: &'static str, job: Arc<dyn AnyJob>) -> Registry {
        let taken = self.0.insert(name, job).is_some();
        assert!(!taken, "two jobs are named {name}");
        self
    }

    /// The names of all jobs.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The job with this name.
    pub fn find(&self, name: &str) -> Option<Arc<dyn AnyJob>> {
        self.0.get(name).cloned()
    }
}

/// Parses an input as the job `J` does.
///
/// # Errors
/// When the input does not have the job's form.
pub fn parse_input<J: Job>(input: &RawValue) -> serde_json::Result<J::Input> {
    serde_json::from_str(input.get())
}
