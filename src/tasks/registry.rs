//! Jobs by name, with their types put aside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::context::TaskContext;
use super::job::{Job, JobError};
use super::retry::RetryPolicy;

/// Any job, as the executor sees it.
pub trait AnyJob: Send + Sync {
    /// How failed attempts are repeated.
    fn retry_policy(&self) -> RetryPolicy;
    /// The longest time of one attempt.
    fn time_limit(&self) -> Option<Duration>;
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

    fn run(
        self: Arc<Self>,
        input: Box<RawValue>,
        context: TaskContext,
    ) -> BoxFuture<'static, Result<String, JobError>> {
        Box::pin(async move {
            let input = read::<J>(&input)
                .map_err(|error| JobError::permanent("InvalidInput", error.to_string()))?;
            let output = Job::run(self.as_ref(), input, &context).await?;
            serde_json::to_string(&output)
                .map_err(|error| JobError::permanent("InvalidOutput", error.to_string()))
        })
    }
}

/// The jobs that a worker runs.
#[derive(Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn AnyJob>>);

impl Registry {
    /// Adds a job under its name.
    ///
    /// # Panics
    /// When two jobs have the same name, which is a mistake in the list of jobs.
    pub fn with<J: Job>(mut self, job: J) -> Registry {
        let taken = self.0.insert(J::NAME, Arc::new(job)).is_some();
        assert!(!taken, "two jobs are named {}", J::NAME);
        self
    }

    /// The names of all jobs.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The job of a name.
    pub fn find(&self, name: &str) -> Option<Arc<dyn AnyJob>> {
        self.0.get(name).cloned()
    }
}

/// A job as its callers see it.
#[derive(Debug, Clone, Copy)]
pub struct JobInfo {
    /// The name that submissions use.
    pub name: &'static str,
    /// Reads an input as the job will.
    pub check: fn(&RawValue) -> serde_json::Result<()>,
    /// The schemas of its input and output.
    pub schemas: fn() -> JobSchemas,
}

/// The schemas of a job's input and output.
#[derive(Clone)]
pub struct JobSchemas {
    /// The name of the input's schema.
    pub input: String,
    /// The name of the output's schema.
    pub output: String,
    /// These two, and all that they refer to, by their names.
    pub all: BTreeMap<String, RefOr<Schema>>,
}

impl JobInfo {
    /// What callers see of a job.
    pub const fn of<J: Job>() -> JobInfo {
        JobInfo {
            name: J::NAME,
            check: |input| read::<J>(input).map(drop),
            schemas: JobSchemas::of::<J>,
        }
    }
}

impl JobSchemas {
    fn of<J: Job>() -> JobSchemas {
        let (input, output) = (J::Input::name(), J::Output::name());
        let mut all = vec![
            (input.to_string(), J::Input::schema()),
            (output.to_string(), J::Output::schema()),
        ];
        J::Input::schemas(&mut all);
        J::Output::schemas(&mut all);
        JobSchemas {
            input: input.into_owned(),
            output: output.into_owned(),
            all: all.into_iter().collect(),
        }
    }
}

fn read<J: Job>(input: &RawValue) -> serde_json::Result<J::Input> {
    serde_json::from_str(input.get())
}
