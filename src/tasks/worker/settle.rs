//! Writes the outcome of an attempt to the record, and decides the message's disposition.

use std::time::Duration;

use serde_json::value::RawValue;

use super::attempt::Outcome;
use super::message::Disposition;
use super::{Worker, store_failed};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::job::{JobError, Retry};
use crate::tasks::queue::MAX_VISIBILITY;
use crate::tasks::record::{End, TaskError};
use crate::tasks::registry::{Ending, Output};
use crate::tasks::retry::RetryPolicy;
use crate::tasks::state::State;
use crate::tasks::store::{Fenced, Lease, TaskFailure};

/// The longest pause between two looks for capacity, beside the time that the body's host asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How long a run may wait for capacity without an attempt that counts: as long as SQS keeps a message.
const LONGEST_WAIT: Duration = Duration::from_secs(14 * 24 * 3600);

/// What an attempt has led to.
#[derive(Debug)]
pub(super) struct Settled {
    /// The message's disposition.
    pub disposition: Disposition,
    /// The task's new state, if the attempt still held the lease.
    pub state: Option<State>,
    /// The job's output.
    result: Option<String>,
    /// Why the attempt failed; `None` if the task waits as if the attempt had not begun.
    pub error: Option<TaskError>,
    /// The calls that the body's answer has in place of those of the task's origin.
    pub calls: Option<Box<RawValue>>,
    /// Whether the message goes to the dead-letter queue.
    is_rejected: bool,
}

impl Settled {
    /// Whether the end of the run sets off more than the task's origin names.
    pub fn has_effects(&self) -> bool {
        self.calls.is_some() || self.is_rejected
    }

    /// The end of the run, if the attempt has ended the run; `worker` is the worker's name.
    pub fn end(self, run: u32, lease: &Lease, worker: &str) -> Option<End> {
        let state = self.state.filter(|state| state.is_final())?;
        let result = self.result.filter(|_| state == State::Completed);
        // A cancelled run has the effects of its origin, whatever its body answered.
        let is_answered = state != State::Cancelled;
        Some(End {
            state,
            run,
            attempt: lease.attempt,
            worker: Some(worker.to_owned()),
            result: result.and_then(|text| RawValue::from_string(text).ok()),
            error: self.error.filter(|_| state == State::Failed),
            calls: self.calls.filter(|_| is_answered),
            is_rejected: self.is_rejected && is_answered,
            finished_at: now_ms(),
        })
    }
}

/// What an attempt gave, beside its outcome.
#[derive(Default)]
struct Given {
    result: Option<String>,
    error: Option<TaskError>,
    calls: Option<Box<RawValue>>,
    is_rejected: bool,
}

/// The outcome of a cancelled attempt.
const CANCELLED: (Fenced, State, Disposition) = (
    Fenced::Cancelled,
    State::Cancelled,
    Disposition::Acknowledge,
);

impl Worker {
    /// Writes the outcome of an attempt to the record.
    pub(super) async fn settle(
        &self,
        policy: RetryPolicy,
        lease: &Lease,
        outcome: Outcome,
    ) -> Settled {
        let mut given = Given::default();
        let written = match outcome {
            Outcome::Finished(Ok(output)) => self.complete(lease, output, &mut given).await,
            Outcome::Finished(Err(failure)) => self.fail(policy, lease, failure, &mut given).await,
            Outcome::OutOfTime { has_saved: true } => self.hand_back(lease).await,
            Outcome::OutOfTime { has_saved: false } => {
                self.fail(policy, lease, out_of_time(), &mut given).await
            }
            Outcome::Cancelled => Ok(CANCELLED),
            Outcome::LeaseLost => Ok((Fenced::Lost, State::Running, Disposition::Leave)),
            Outcome::StoreFailed(error) => Err(error),
        };
        let written = match written {
            // The job has stopped, or ended after the cancellation: its result is dropped.
            Ok((Fenced::Cancelled, ..)) => {
                let (_, state, disposition) = CANCELLED;
                let stopped = self.tasks.stop(lease).await;
                stopped.map(|written| (written, state, disposition))
            }
            written => written,
        };
        let (disposition, state) = disposition_of(lease, written);
        Settled {
            disposition,
            state,
            result: given.result,
            error: given.error,
            calls: given.calls,
            is_rejected: given.is_rejected,
        }
    }

    async fn complete(
        &self,
        lease: &Lease,
        output: Output,
        given: &mut Given,
    ) -> Result<(Fenced, State, Disposition), StoreError> {
        let result = given.result.insert(output.json);
        given.calls = output.calls;
        let calls = given.calls.as_deref();
        let (written, ended) = match output.ending {
            Ending::Completed => {
                let complete = self.tasks.complete_with(lease, result, calls);
                (complete.await, State::Completed)
            }
            Ending::Moved => (self.tasks.move_on(lease, calls).await, State::Moved),
        };
        let (written, state) = match written {
            Err(StoreError::TooLarge) => {
                let bytes = result.len() + calls.map_or(0, |calls| calls.get().len());
                let message = format!("the result has {bytes} bytes, which is too large");
                given.calls = None;
                let error = given
                    .error
                    .insert(TaskError::new("ResultTooLarge", message));
                let failure = TaskFailure::new(error, None);
                (self.tasks.fail(lease, failure).await?, State::Failed)
            }
            written => (written?, ended),
        };
        Ok((written, state, Disposition::Acknowledge))
    }

    async fn fail(
        &self,
        policy: RetryPolicy,
        lease: &Lease,
        failure: JobError,
        given: &mut Given,
    ) -> Result<(Fenced, State, Disposition), StoreError> {
        let (failure, retry_in) = match failure.retry() {
            Retry::Wait(least) => match wait(lease, least, now_ms()) {
                Some(delay) => return self.wait(lease, &failure, delay).await,
                None => {
                    let failure = failure.with_retry(Retry::Backoff);
                    let delay = policy.delay(lease.counted, &failure, fastrand::f64());
                    (failure, delay)
                }
            },
            _ => {
                let delay = policy.delay(lease.counted, &failure, fastrand::f64());
                (failure, delay)
            }
        };
        let error = given.error.insert(TaskError::from(&failure));
        let is_rejected = failure.is_rejected() && retry_in.is_none();
        let written = TaskFailure {
            error,
            retry_in,
            is_counted: !matches!(failure.retry(), Retry::Asked(_)),
            next: failure.next(),
            calls: failure.calls(),
            is_rejected,
        };
        let written = self.tasks.fail(lease, written).await?;
        given.is_rejected = is_rejected;
        given.calls = failure.calls().map(RawValue::to_owned);
        Ok(match retry_in {
            Some(delay) => (written, State::Retrying, Disposition::Redeliver(delay)),
            None => (written, State::Failed, Disposition::Acknowledge),
        })
    }

    /// Waits as if the attempt had not begun.
    async fn wait(
        &self,
        lease: &Lease,
        error: &JobError,
        delay: Duration,
    ) -> Result<(Fenced, State, Disposition), StoreError> {
        let error = TaskError::from(error);
        let written = self.tasks.wait(lease, &error, delay).await?;
        Ok((written, State::Retrying, Disposition::Redeliver(delay)))
    }

    async fn hand_back(&self, lease: &Lease) -> Result<(Fenced, State, Disposition), StoreError> {
        let written = self.tasks.hand_back(lease).await?;
        Ok((
            written,
            State::Pending,
            Disposition::Redeliver(Duration::ZERO),
        ))
    }
}

/// The message's disposition, and the task's new state if the attempt still held the lease.
fn disposition_of(
    lease: &Lease,
    written: Result<(Fenced, State, Disposition), StoreError>,
) -> (Disposition, Option<State>) {
    match written {
        Ok((Fenced::Written, state, disposition)) => (disposition, Some(state)),
        Ok(_) => {
            // The worker that holds the task now may have received the same message. If that worker dies
            // too, only this message brings the task back: do not acknowledge it.
            tracing::warn!(task_id = %lease.id, attempt = lease.attempt, "the lease was lost");
            (Disposition::Leave, None)
        }
        Err(error) => (store_failed(&lease.id, &error), None),
    }
}

/// The time to the next look for capacity: at least `least`, and longer the longer the run has waited, so
/// that many waiting tasks cost little. `None` if the run has waited as long as SQS keeps a message: the
/// attempt then counts.
fn wait(lease: &Lease, least: Duration, now: u64) -> Option<Duration> {
    let waited = Duration::from_millis(now.saturating_sub(lease.began_at));
    let longer = (waited / 2).min(LONGEST_PAUSE).mul_f64(fastrand::f64());
    (waited < LONGEST_WAIT).then(|| (least + longer).min(MAX_VISIBILITY))
}

fn out_of_time() -> JobError {
    let message = "the attempt did not end within the worker's time";
    JobError::transient("OutOfTime", message).retry_after(Duration::ZERO)
}
