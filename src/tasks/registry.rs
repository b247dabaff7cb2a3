//! Jobs by name, with their types put aside.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::job::{Job, JobError, TaskContext};
use super::retry::RetryPolicy;

/// Any job, as the executor sees it.
trait AnyJob: Send + Sync {
    fn retry_policy(&self) -> RetryPolicy;
    fn run<'a>(
        &'a self,
        input: &'a RawValue,
        context: &'a TaskContext,
    ) -> BoxFuture<'a, Result<String, JobError>>;
}

impl<J: Job> AnyJob for J {
    fn retry_policy(&self) -> RetryPolicy {
        Job::retry_policy(self)
    }

    fn run<'a>(
        &'a self,
        input: &'a RawValue,
        context: &'a TaskContext,
    ) -> BoxFuture<'a, Result<String, JobError>> {
        Box::pin(async move {
            let input = serde_json::from_str(input.get())
                .map_err(|error| JobError::permanent("InvalidInput", error.to_string()))?;
            let output = Job::run(self, input, context).await?;
            serde_json::to_string(&output)
                .map_err(|error| JobError::permanent("InvalidOutput", error.to_string()))
        })
    }
}

/// The jobs that a worker runs.
#[derive(Default)]
pub struct Registry(BTreeMap<&'static str, Box<dyn AnyJob>>);

impl Registry {
    /// Adds a job under its name.
    ///
    /// # Panics
    /// When two jobs have the same name, which is a mistake in the list of jobs.
    pub fn with<J: Job>(mut self, job: J) -> Registry {
        let taken = self.0.insert(J::NAME, Box::new(job)).is_some();
        assert!(!taken, "two jobs are named {}", J::NAME);
        self
    }

    /// The names of all jobs.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The job of a name.
    pub fn find(&self, name: &str) -> Option<FoundJob<'_>> {
        self.0.get(name).map(|job| FoundJob(job.as_ref()))
    }
}

/// A job found by its name.
#[derive(Clone, Copy)]
pub struct FoundJob<'a>(&'a dyn AnyJob);

impl<'a> FoundJob<'a> {
    /// How failed attempts are repeated.
    pub fn retry_policy(self) -> RetryPolicy {
        self.0.retry_policy()
    }

    /// Runs one attempt: JSON in, JSON out.
    pub async fn run(self, input: &RawValue, context: &TaskContext) -> Result<String, JobError> {
        self.0.run(input, context).await
    }
}
