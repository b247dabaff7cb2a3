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
use super::task::Task;

/// One call of a job: one attempt of a task.
pub struct Call {
    /// The task, with its origin and the origin's data. After a retry with other data, the task has these.
    pub task: Arc<Task>,
    /// The task's input; for a remote job as in the message, for any other in the job's own form.
    pub input: Box<RawValue>,
    /// The job's view of its task.
    pub context: TaskContext,
    /// The end of the attempt's time, in milliseconds since the Unix epoch: the earlier of the time limit and
    /// the end of the worker's time. A later answer is ignored.
    pub deadline: u64,
    /// The time limit of the attempt, if the task or its job has a limit.
    pub limit: Option<Duration>,
}

impl Call {
    /// The same attempt with another input, for a job that calls other jobs.
    pub fn with_input(&self, input: Box<RawValue>) -> Call {
        Call {
            task: Arc::clone(&self.task),
            input,
            context: self.context.share(),
            ..*self
        }
    }
}

/// What an attempt gave.
#[derive(Debug)]
pub struct Output {
    /// The result, as JSON.
    pub json: Box<RawValue>,
    /// The calls that the end of the run makes in place of those that follow from the task's origin, in the
    /// form of the task's format.
    pub calls: Option<Box<RawValue>>,
    /// How the run ends.
    pub ending: Ending,
}

/// How a run ends without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the result.
    Completed,
    /// The task goes on in another message; there is no result.
    Moved,
}

impl From<Box<RawValue>> for Output {
    /// The result of a run that completes.
    fn from(json: Box<RawValue>) -> Output {
        Output {
            json,
            calls: None,
            ending: Ending::Completed,
        }
    }
}

#[cfg(test)]
impl From<String> for Output {
    fn from(json: String) -> Output {
        RawValue::from_string(json).expect("JSON").into()
    }
}

/// A job with its types erased, for the worker.
pub trait AnyJob: Send + Sync {
    /// The retry policy for failed attempts.
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
    }
    /// The longest time of one attempt.
    fn time_limit(&self) -> Option<Duration> {
        None
    }
    /// The names of the fields of the input, in order; empty for an input that is not a structure.
    fn fields(&self) -> &'static [&'static str] {
        &[]
    }
    /// Whether the body runs elsewhere: in a function or behind a URL. Such a body gets the task's input as
    /// it came, and its future never blocks its thread.
    fn is_remote(&self) -> bool {
        false
    }
    /// Whether the job runs on the worker's own thread, which has the connections to AWS. Its future never
    /// blocks its thread.
    fn calls_aws(&self) -> bool {
        self.is_remote()
    }
    /// One attempt: JSON in, JSON out.
    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>>;
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

    fn calls_aws(&self) -> bool {
        J::CALLS_AWS
    }

    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
        Box::pin(async move {
            let input = parse_input::<J>(&call.input)
                .map_err(|error| JobError::permanent("InvalidInput", error.to_string()))?;
            let output = Job::run(self.as_ref(), input, &call.context).await?;
            let json = serde_json::value::to_raw_value(&output);
            json.map(Output::from)
                .map_err(|error| JobError::permanent("InvalidOutput", error.to_string()))
        })
    }
}

/// The jobs that a worker runs.
#[derive(Clone, Default)]
pub struct Registry {
    named: BTreeMap<&'static str, Arc<dyn AnyJob>>,
    /// Jobs for all names that fit a pattern, in the order of their precedence.
    patterns: Vec<(String, Arc<dyn AnyJob>)>,
}

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
        let taken = self.named.insert(name, job).is_some();
        assert!(!taken, "two jobs are named {name}");
        self
    }

    /// Adds a job for all names that fit a pattern, see [`matches()`]. A job of the name itself comes first,
    /// and so do patterns that were added before.
    pub fn with_pattern(mut self, pattern: &str, job: Arc<dyn AnyJob>) -> Registry {
        self.patterns.push((pattern.to_owned(), job));
        self
    }

    /// The names of all jobs but those of patterns.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.named.keys().copied()
    }

    /// The job with this name.
    pub fn find(&self, name: &str) -> Option<Arc<dyn AnyJob>> {
        let by_pattern = || {
            let mut patterns = self.patterns.iter();
            patterns.find(|(pattern, _)| matches(pattern, name))
        };
        let named = self.named.get(name);
        named.or_else(|| by_pattern().map(|(_, job)| job)).cloned()
    }

    /// Whether the body of the job with this name runs elsewhere.
    pub fn is_remote(&self, name: &str) -> bool {
        self.find(name).is_some_and(|job| job.is_remote())
    }
}

/// Whether a name fits a pattern, in which `*` stands for any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The first place is as good as any later one.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Parses an input as the job `J` does.
///
/// # Errors
/// When the input does not have the job's form.
pub fn parse_input<J: Job>(input: &RawValue) -> serde_json::Result<J::Input> {
    serde_json::from_str(input.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, fits, other) in [
            ("a.b", &["a.b"][..], &["a.bc", "xa.b", ""][..]),
            ("*", &["", "a", "a.b"], &[]),
            ("a.*", &["a.", "a.b.c"], &["a", "b.a."]),
            ("*.b", &["a.b", ".b"], &["b", "a.bc"]),
            (
                "a*b*c",
                &["abc", "axbxc", "abbc", "abcbc"],
                &["ac", "acb", "abcd"],
            ),
            ("a*a", &["aa", "aba"], &["a"]),
        ] {
            for name in fits {
                assert!(matches(pattern, name), "{pattern} {name}");
            }
            for name in other {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }
}
