//! The wire format of Celery's messages.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::builtins::is_builtin;
use super::ends::{Ends, exception, place};
use super::message::{Opened, open};
use super::origin::{Arguments, CELERY, Source, task_of, task_of_headers, task_of_sealed};
use super::refused::{Kind, Refused};
use super::remote::{self, RemoteBodies};
use super::result::{Facts, Outcome, task_result};
use super::unlock::CHORD_UNLOCK;
use crate::error::Chain;
use crate::json::{Json, Object};
use crate::tasks::format::{
    AnswerKind, Computed, Decoded, EffectError, Entered, Format, Incoming, Parts, Plan,
};
use crate::tasks::job::JobError;
use crate::tasks::record::{End, Progress, TaskError};
use crate::tasks::registry::AnyJob;
use crate::tasks::task::{MAX_WAIT, Task};
use crate::trace::Trace;

/// Celery's messages, results and workflows.
#[derive(Debug, Clone)]
pub struct CeleryFormat {
    ends: Arc<Ends>,
    /// Whether `STARTED` is stored (`task_track_started` in Celery).
    track_started: bool,
    bodies: RemoteBodies,
}

impl CeleryFormat {
    /// The format, with what its tasks' ends need.
    pub fn new(ends: Ends, track_started: bool) -> CeleryFormat {
        CeleryFormat {
            ends: Arc::new(ends),
            track_started,
            bodies: RemoteBodies::default(),
        }
    }

    /// The format, with tasks whose bodies are remote.
    pub fn with_remote(self, bodies: RemoteBodies) -> CeleryFormat {
        CeleryFormat { bodies, ..self }
    }

    /// The task of a message that was read; `None` if its id is no task's.
    fn task_of(&self, opened: Opened, at: u64) -> Option<Task> {
        match opened {
            Opened::Message(message) => {
                let is_remote = self.bodies.has_body_of(&message);
                task_of(*message, at, is_remote)
            }
            Opened::Sealed(sealed) => task_of_sealed(*sealed, at),
        }
    }

    async fn store_entered(&self, task: &Task, source: &Source, entered: Entered<'_>) {
        let headers = &source.headers;
        let facts = Facts {
            id: task.id.as_str(),
            group: headers.group.as_deref(),
            parent_id: headers.parent_id.as_deref(),
            ..Facts::default()
        };
        let now = crate::clock::now_ms();
        let (step, attempt, json) = match entered {
            Entered::Progress { attempt, progress } => {
                let meta = meta(progress);
                let custom = Outcome::Custom {
                    state: "PROGRESS",
                    meta: &meta,
                };
                (0, attempt, task_result(&facts, &custom, now))
            }
            Entered::Running { attempt, worker } => {
                let started = Outcome::Started {
                    pid: std::process::id(),
                    hostname: worker,
                };
                (0, attempt, task_result(&facts, &started, now))
            }
            Entered::Retrying { attempt, error, .. } => {
                let exception = exception(source, attempt, Some(error));
                let traceback = error.traceback.as_deref();
                let traceback = exception.traceback_or(traceback, &headers.task);
                let retry = Outcome::Retry(&exception, Some(&traceback));
                (1, attempt, task_result(&facts, &retry, now))
            }
        };
        let place = place(task.run, attempt, step);
        let put = self.ends.results.put(task.id.as_str(), place, json);
        if let Err(error) = put.await {
            tracing::warn!(task_id = %task.id, error = %Chain(&error), "a state was not stored");
        }
    }
}

impl Format for CeleryFormat {
    fn name(&self) -> &'static str {
        CELERY
    }

    fn decode(&self, message: &Incoming<'_>) -> Option<Decoded> {
        let at = message.sent_at.unwrap_or(message.now);
        let no_id = || Decoded::Malformed("the task's id is empty or too long".to_owned());
        match open(message.body, |task, kind| self.bodies.decode(task, kind)) {
            Ok(opened) => Some(self.task_of(opened, at).map_or_else(no_id, |task| {
                let task = Box::new(task);
                match out_of_bounds(&task, message.now) {
                    None => Decoded::Task(task),
                    Some(reason) => Decoded::Refused {
                        task,
                        error: TaskError::new("Malformed", reason),
                    },
                }
            })),
            Err(Refused {
                kind: Kind::NotCelery,
                ..
            }) => None,
            Err(refused) => Some(decoded_refusal(refused, at)),
        }
    }

    fn input(
        &self,
        task: &Task,
        job: &dyn AnyJob,
        input: Box<RawValue>,
    ) -> Result<Box<RawValue>, JobError> {
        if is_builtin(&task.job) {
            return Ok(input);
        }
        let unreadable = || JobError::permanent("TypeError", "the arguments are unreadable");
        let arguments = Arguments::read(&input).ok_or_else(unreadable)?;
        arguments.into_input(&task.job, job)
    }

    fn remote(
        &self,
        task: &Task,
        input: &RawValue,
        trace: Option<&Trace>,
    ) -> Option<Box<RawValue>> {
        let is_started = self.track_started && stores_result(task);
        remote::request(task, input, trace, is_started)
    }

    fn answer(&self, task: &Task, part: &RawValue, kind: AnswerKind) -> Result<Parts, JobError> {
        remote::answer(&self.ends, &self.bodies, task, part, kind)
    }

    fn needs_input(&self, task: &Task) -> bool {
        task.job == CHORD_UNLOCK
    }

    fn plan(&self, task: &Task, end: &End) -> Result<Plan, JobError> {
        self.ends.plan(task, end)
    }

    fn perform<'a>(
        &'a self,
        task: &'a Task,
        end: &'a End,
        computed: Option<Computed>,
    ) -> BoxFuture<'a, Result<(), EffectError>> {
        let computed = computed.and_then(|computed| computed.downcast().ok());
        Box::pin(
            self.ends
                .perform(task, end, computed.map(|computed| *computed)),
        )
    }

    fn entered<'a>(&'a self, task: &'a Task, entered: Entered<'a>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if matches!(entered, Entered::Running { .. }) && !self.track_started {
                return;
            }
            if let Entered::Retrying {
                attempt,
                calls: Some(calls),
                ..
            } = entered
            {
                let made = self.ends.make_calls_of_retry(task, attempt, calls).await;
                if let Err(error) = made {
                    tracing::warn!(task_id = %task.id, ?error, "a client was not told of a retry");
                }
                return;
            }
            if let Some(source) = Source::of(task).filter(|source| source.stores_result()) {
                self.store_entered(task, &source, entered).await;
            }
        })
    }
}

fn stores_result(task: &Task) -> bool {
    Source::of(task).is_some_and(|source| source.stores_result())
}

/// Progress as most tasks of Celery report it.
fn meta(progress: &Progress) -> String {
    let mut meta = Object::new();
    meta.insert("current", progress.done);
    if let Some(total) = progress.total {
        meta.insert("total", total);
    }
    if let Some(message) = &progress.message {
        meta.insert("message", message.as_str());
    }
    Json::from(meta).to_string()
}

fn decoded_refusal(refused: Refused, at: u64) -> Decoded {
    let task = refused
        .headers
        .and_then(|headers| task_of_headers(*headers, at));
    match task {
        Some(task) => Decoded::Refused {
            task: Box::new(task),
            error: TaskError::new(refused.kind.as_str(), refused.reason),
        },
        None => Decoded::Malformed(refused.reason),
    }
}

/// Why a task is out of the bounds of the engine.
fn out_of_bounds(task: &Task, now: u64) -> Option<&'static str> {
    let latest = now.saturating_add(MAX_WAIT * 1000);
    let is_late = task.options.eta.is_some_and(|eta| eta > latest);
    is_late.then_some("the eta is more than a year ahead")
}
