//! What the end of a Celery task sets off: the messages of its workflow, its result, and its place in a
//! chord. Everything may be done again: ids are derived, results are placed in order, and a chord counts a
//! member once.

use futures_util::future::BoxFuture;

use super::canvas::{Failed, Sender, Sent, Unsendable, failed_chain, on_failure, on_success};
use super::origin::{Arguments, Source};
use super::outbox::{Outbox, OutboxError};
use super::result::{Exception, Extended, Facts, Outcome, Revoked, task_result};
use super::store::{MAX_RESULT, NEVER_RAN, ResultStore};
use super::unlock::{CHORD_UNLOCK, Unlock};
use crate::dynamodb::StoreError;
use crate::json::{Json, parse_str};
use crate::tasks::format::EffectError;
use crate::tasks::record::{End, TaskError};
use crate::tasks::state::State;
use crate::tasks::store::MAX_ERROR;
use crate::tasks::task::Task;

/// How deep a failed chord may be the member of another chord.
const MAX_DEPTH: u32 = 100;

/// Performs what ends set off.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The table of results.
    pub results: ResultStore,
    /// The queues.
    pub outbox: Outbox,
    /// Whether results have the name, the arguments, the worker and the queue of their task
    /// (`result_extended` in Celery).
    pub extended: bool,
}

/// A task that has ended.
pub(super) struct Ended<'a> {
    pub task: &'a Task,
    pub source: &'a Source,
    pub end: &'a End,
    /// The sender of what follows.
    pub sender: Sender<'a>,
}

/// How a task ended, as Celery sees it.
pub(super) enum Ending<'a> {
    Success(&'a str),
    /// With the traceback, if the body gave one.
    Failure(Exception, Option<&'a str>),
    Revoked(Revoked),
}

impl From<StoreError> for EffectError {
    fn from(error: StoreError) -> EffectError {
        match error {
            StoreError::TooLarge => EffectError::Permanent("the result is too large".to_owned()),
            StoreError::Corrupt(reason) => EffectError::Permanent(reason),
            error => EffectError::Transient(Box::new(error)),
        }
    }
}

impl From<OutboxError> for EffectError {
    fn from(error: OutboxError) -> EffectError {
        match error {
            OutboxError::UnknownQueue(_) | OutboxError::Refused(_) => {
                EffectError::Permanent(error.to_string())
            }
            OutboxError::Queue(error) => EffectError::Transient(Box::new(error)),
        }
    }
}

impl From<Unsendable> for EffectError {
    fn from(error: Unsendable) -> EffectError {
        EffectError::Permanent(error.to_string())
    }
}

impl Ends {
    /// Performs all effects of a task's end. `sent` is what follows from the success, if it was computed before.
    ///
    /// # Errors
    /// When a call to AWS failed, or an effect can never be performed.
    pub async fn perform(
        &self,
        task: &Task,
        end: &End,
        sent: Option<Sent>,
    ) -> Result<(), EffectError> {
        let unreadable = || EffectError::Permanent("the task's origin is unreadable".to_owned());
        let source = Source::of(task).ok_or_else(unreadable)?;
        if source.headers.task == CHORD_UNLOCK {
            let unlock = Unlock::of(task, &source).ok_or_else(unreadable)?;
            return unlock.perform(self, task, end).await;
        }
        let seed = seed(task, end);
        let trace = task.trace_in(end.attempt);
        let ended = Ended {
            task,
            source: &source,
            end,
            sender: Sender {
                trace: trace.as_ref(),
                ..self.sender(task.id.as_str(), &source, &seed, end)
            },
        };
        match &end.calls {
            Some(calls) => Box::pin(self.make_calls(&ended, calls)).await,
            // What goes on in another message has no result yet.
            None if end.state == State::Moved && end.error.is_none() => Ok(()),
            None => self.follow(&ended, &Ending::of(&source, end), sent).await,
        }
    }

    /// Performs what follows from the task's message; `sent` is what [`on_success`] gives, if it was computed
    /// before.
    pub(super) async fn follow(
        &self,
        ended: &Ended<'_>,
        ending: &Ending<'_>,
        sent: Option<Sent>,
    ) -> Result<(), EffectError> {
        let &Ended {
            task,
            source,
            end,
            ref sender,
        } = ended;
        let mut lost = Lost::default();
        let sent = match (ending, sent) {
            (Ending::Success(_), Some(sent)) => Ok(sent),
            (Ending::Success(value), None) => on_success(sender, &source.embed, &read(value)),
            _ => on_failure(sender, &source.embed.errbacks),
        };
        let children = lost.note(self.send(sent).await)?.unwrap_or_default();
        if let Some(exception) = ending.exception().or_else(|| lost.exception()) {
            let chain = failed_chain(&source.embed.chain);
            self.fail_all(sender, chain, &exception, 0, &mut lost)
                .await?;
        }
        if source.stores_result() {
            let json = self.result(task, source, end, ending, &children);
            let place = place(end.run, end.attempt, 2);
            lost.note(self.put(task.id.as_str(), place, json).await)?;
        }
        if let Some(group) = source.headers.group.as_ref().filter(|_| source.counts()) {
            let (id, body) = (task.id.as_str(), source.embed.chord.as_ref());
            lost.note(self.count(sender, group, id, body, 0).await)?;
        }
        lost.into_result()
    }

    /// The sender of what follows from a task, without a trace.
    pub fn sender<'a>(
        &'a self,
        id: &'a str,
        source: &'a Source,
        seed: &'a str,
        end: &'a End,
    ) -> Sender<'a> {
        Sender {
            id,
            root_id: source.headers.root_id.as_deref(),
            seed,
            now: end.finished_at,
            default_queue: self.outbox.default_queue(),
            origin: end.worker.as_deref().unwrap_or("async-service"),
            trace: None,
        }
    }

    /// Begins the chords and sends the messages. Returns the tuples of what was sent.
    pub(super) async fn send(
        &self,
        sent: Result<Sent, Unsendable>,
    ) -> Result<Vec<Json>, EffectError> {
        let sent = sent?;
        self.outbox.check(&sent.messages)?;
        for chord in &sent.chords {
            self.results.begin_chord(chord).await?;
        }
        self.outbox.send(&sent.messages).await?;
        Ok(sent.children)
    }

    async fn put(&self, id: &str, place: u64, json: String) -> Result<(), EffectError> {
        Ok(self.results.put(id, place, json).await?)
    }

    /// The JSON of a task's result. The children, and the arguments of an extended result, are left out if
    /// they make the item too large: clients seldom read either.
    pub(super) fn result(
        &self,
        task: &Task,
        source: &Source,
        end: &End,
        ending: &Ending<'_>,
        children: &[Json],
    ) -> String {
        let full = self.result_with(task, source, end, ending, (self.extended, children));
        match full.len() > MAX_RESULT {
            true => self.result_with(task, source, end, ending, (false, &[])),
            false => full,
        }
    }

    fn result_with(
        &self,
        task: &Task,
        source: &Source,
        end: &End,
        ending: &Ending<'_>,
        (is_extended, children): (bool, &[Json]),
    ) -> String {
        let headers = &source.headers;
        let arguments = task.input().filter(|_| is_extended);
        let arguments = arguments.and_then(Arguments::read).unwrap_or_default();
        let extended = is_extended.then(|| Extended {
            name: &headers.task,
            args: &arguments.args,
            kwargs: &arguments.kwargs,
            worker: end.worker.as_deref().unwrap_or_default(),
            retries: headers.retries + end.attempt.saturating_sub(1),
            queue: source.properties.queue(),
            stamped_headers: &headers.stamped_headers,
            stamps: &headers.stamps,
        });
        let facts = Facts {
            id: task.id.as_str(),
            group: headers.group.as_deref(),
            parent_id: headers.parent_id.as_deref(),
            children,
            extended,
        };
        match ending {
            Ending::Success(value) => {
                task_result(&facts, &Outcome::Success(value), end.finished_at)
            }
            Ending::Failure(exception, traceback) => {
                let traceback = exception.traceback_or(*traceback, &headers.task);
                let outcome = Outcome::Failure(exception, Some(&traceback));
                task_result(&facts, &outcome, end.finished_at)
            }
            Ending::Revoked(why) => task_result(&facts, &Outcome::Revoked(*why), end.finished_at),
        }
    }

    pub(super) async fn fail_all(
        &self,
        sender: &Sender<'_>,
        all: Vec<Failed>,
        exception: &Exception,
        depth: u32,
        lost: &mut Lost,
    ) -> Result<(), EffectError> {
        for failed in all {
            lost.note(self.fail(sender, failed, exception, depth).await)?;
        }
        Ok(())
    }

    /// Stores the failure of a task that never runs, and counts the task in its chord.
    fn fail<'a>(
        &'a self,
        sender: &'a Sender<'a>,
        failed: Failed,
        exception: &'a Exception,
        depth: u32,
    ) -> BoxFuture<'a, Result<(), EffectError>> {
        Box::pin(async move {
            let facts = Facts {
                id: &failed.id,
                group: failed.group.as_deref(),
                parent_id: failed.parent_id.as_deref(),
                ..Facts::default()
            };
            let json = task_result(&facts, &Outcome::Failure(exception, None), sender.now);
            self.put(&failed.id, NEVER_RAN, json).await?;
            match (&failed.chord, &failed.group) {
                (Some(body), Some(group)) if depth < MAX_DEPTH => {
                    let body = Some(body);
                    self.count(sender, group, &failed.id, body, depth + 1).await
                }
                _ => Ok(()),
            }
        })
    }
}

/// What no try can perform. Such a part does not keep the other parts from being performed, for which clients
/// wait.
#[derive(Debug, Default)]
pub(super) struct Lost(Option<String>);

impl Lost {
    /// Notes a permanent failure; another failure is returned.
    pub(super) fn note<T>(
        &mut self,
        result: Result<T, EffectError>,
    ) -> Result<Option<T>, EffectError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(EffectError::Permanent(reason)) => {
                self.0.get_or_insert(reason);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The exception of what follows and cannot be sent.
    pub(super) fn exception(&self) -> Option<Exception> {
        let reason = self.0.as_deref()?;
        Some(Exception::of_error("", "RuntimeError", reason))
    }

    pub(super) fn into_result(self) -> Result<(), EffectError> {
        self.0
            .map_or(Ok(()), |reason| Err(EffectError::Permanent(reason)))
    }
}

impl Ending<'_> {
    pub(super) fn of<'a>(source: &Source, end: &'a End) -> Ending<'a> {
        match (end.state, &end.result) {
            (State::Completed, Some(value)) => Ending::Success(value.get()),
            (State::Expired, _) => Ending::Revoked(Revoked::Expired),
            (State::Cancelled, _) if end.attempt == 0 => Ending::Revoked(Revoked::BeforeStart),
            (State::Cancelled, _) => Ending::Revoked(Revoked::Terminated),
            _ => {
                let error = end.error.as_ref();
                let traceback = error.and_then(|error| error.traceback.as_deref());
                Ending::Failure(exception(source, end.attempt, error), traceback)
            }
        }
    }

    /// The exception that other tasks of the workflow get.
    fn exception(&self) -> Option<Exception> {
        match self {
            Ending::Success(_) => None,
            Ending::Failure(exception, _) => Some(exception.clone()),
            Ending::Revoked(why) => Some(Exception::revoked(*why)),
        }
    }
}

/// The exception of a failed task or attempt. A task without an attempt was refused.
pub fn exception(source: &Source, attempt: u32, error: Option<&TaskError>) -> Exception {
    let name = &source.headers.task;
    let Some(error) = error else {
        return Exception::of_error(name, "RuntimeError", "the task failed");
    };
    let (kind, message) = (&error.kind, &error.message);
    // Cut as in a record, so that the result is the same whether the effects are performed from the attempt
    // or from the record.
    let message = &message.chars().take(MAX_ERROR).collect::<String>();
    if let Some(module) = &error.module {
        return Exception::new(module, kind, message.as_str());
    }
    match kind.as_str() {
        "TimeLimitExceeded" => match (source.headers.time_limit, source.headers.soft_time_limit) {
            (hard, Some(soft)) if !source.is_remote && hard.is_none_or(|hard| soft < hard) => {
                Exception::soft_time_limit()
            }
            (Some(hard), _) => Exception::time_limit(hard),
            (None, _) => Exception::of_error(name, kind, message),
        },
        "InvalidInput" => Exception::of_error(name, kind, &in_words_of_python(name, message)),
        kind if attempt == 0 => {
            let refused = Exception::of_refusal(kind, message);
            refused.unwrap_or_else(|| Exception::of_error(name, kind, message))
        }
        kind => Exception::of_error(name, kind, message),
    }
}

/// Why arguments do not fit, worded as in Python where Python has a word for it: for a missing argument.
fn in_words_of_python(task: &str, message: &str) -> String {
    let missing = message.strip_prefix("missing field `");
    match missing.and_then(|rest| rest.split_once('`')) {
        Some((field, _)) => {
            let function = task.rsplit('.').next().unwrap_or_default();
            format!("{function}() missing 1 required positional argument: '{field}'")
        }
        None => message.to_owned(),
    }
}

/// The order of a task's results: by run, attempt, and step within the attempt: 0 begun, 1 to be tried
/// again, 2 ended.
pub fn place(run: u32, attempt: u32, step: u64) -> u64 {
    (u64::from(run) * 100_000 + u64::from(attempt.min(99_999))) * 10 + step
}

/// What the ids are made of that follow from an end.
pub(super) fn seed(task: &Task, end: &End) -> String {
    format!("{}/{}", task.id, end.run)
}

fn read(value: &str) -> Json {
    parse_str(value).unwrap_or_default()
}
