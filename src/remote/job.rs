//! A job whose body runs elsewhere.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::bodies::{Bodies, Target};
use super::progress::ProgressLinks;
use super::request::{attempt_id, format_of, request};
use super::sign::Secrets;
use super::{MAX_PAYLOAD, answer, function, url};
use crate::clock::now_ms;
use crate::fetch::Fetcher;
use crate::invoke::Invoker;
use crate::tasks::format::Format;
use crate::tasks::job::JobError;
use crate::tasks::registry::{AnyJob, Call, Output, Registry};

/// The time after the deadline at which a call ends by itself. The worker ends the call at the deadline, and
/// knows which limit the deadline was.
const AFTER: Duration = Duration::from_secs(2);

/// The ways to bodies, shared by all remote jobs of a worker. They belong to the worker's own runtime.
pub struct Ways {
    /// Invokes functions. A call may take as long as an attempt.
    pub invoker: Invoker,
    /// Posts to URLs.
    pub fetcher: Fetcher,
    /// Sign the requests to URLs.
    pub secrets: Secrets,
    /// The links for reports of progress, if the API's address is known.
    pub links: Option<ProgressLinks>,
    /// The wire formats whose tasks remote bodies work on.
    pub formats: Vec<Arc<dyn Format>>,
}

/// A job whose body runs in a function or behind a URL.
struct RemoteJob {
    target: Target,
    ways: Arc<Ways>,
}

/// The jobs with the remote jobs of the configuration. A job of the same name comes first.
pub fn with_remote(jobs: Registry, bodies: &Bodies, ways: Ways) -> Registry {
    let ways = Arc::new(ways);
    bodies.iter().fold(jobs, |jobs, body| {
        let job = RemoteJob {
            target: body.target.clone(),
            ways: Arc::clone(&ways),
        };
        jobs.with_pattern(&body.pattern, Arc::new(job))
    })
}

impl RemoteJob {
    async fn attempt(&self, call: Call) -> Result<Output, JobError> {
        let ways = &*self.ways;
        let format = format_of(&ways.formats, &call.task);
        let event = request(&call, format, ways.links.as_ref());
        let event =
            event.map_err(|error| JobError::permanent("InvalidInput", error.to_string()))?;
        if event.len() > MAX_PAYLOAD {
            let message = format!(
                "the request has {} bytes, and a body takes {MAX_PAYLOAD}",
                event.len()
            );
            return Err(JobError::permanent("RequestTooLarge", message));
        }
        match &self.target {
            Target::Function(name) => {
                let answered = function::call(&ways.invoker, name, event).await?;
                answer::read(&answered, &call.task, format)
            }
            Target::Url(address) => {
                let id = attempt_id(&call);
                let time = Duration::from_millis(call.deadline.saturating_sub(now_ms())) + AFTER;
                let (fetcher, secrets) = (&ways.fetcher, &ways.secrets);
                let fetcher = fetcher.in_trace(call.context.trace());
                let answered = url::call(&fetcher, secrets, address, &id, event, time).await?;
                answer::read(&answered, &call.task, format)
            }
        }
    }
}

impl AnyJob for RemoteJob {
    fn is_remote(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
        Box::pin(async move { self.attempt(call).await })
    }
}
