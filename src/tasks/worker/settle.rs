//! Writes the outcome of an attempt to the record, and decides the message's disposition.

use std::time::Duration;

use serde_json::value::RawValue;

use super::attempt::Outcome;
use super::message::Disposition;
use super::{Worker, store_failed};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::format::{Computed, Plan};
use crate::tasks::job::{JobError, Retry};
use crate::tasks::queue::MAX_VISIBILITY;
use crate::tasks::record::{End, TaskError};
use crate::tasks::registry::{Ending, Output};
use crate::tasks::retry::RetryPolicy;
use crate::tasks::state::State;
use crate::tasks::store::{Fenced, Lease, RunEnd, SetsOff, TaskFailure, TaskStore};
use crate::tasks::task::Task;

/// The longest pause between two looks for capacity, beside the time that the body's host asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How long a run may wait for capacity without an attempt that counts: as long as SQS keeps a message.
const LONGEST_WAIT: Duration = Duration::from_secs(14 * 24 * 3600);

/// What an attempt has led to.
pub(super) struct Settled {
    /// The message's disposition.
    pub disposition: Disposition,
    /// The task's new state, if the attempt still held the lease.
    pub state: Option<State>,
    /// The end of the run, if the attempt has ended the run.
    pub ended: Option<Ended>,
    /// Why another attempt follows; `None` if the task waits as if the attempt had not begun.
    pub retried: Option<Retried>,
}

/// The end of a run, as it was written.
pub(super) struct Ended {
    pub end: End,
    pub left: Left,
}

/// What is left to do of what an end sets off.
pub(super) enum Left {
    /// Nothing: all was done in one transaction with the end.
    Nothing,
    /// All, with what was computed before the end was written.
    All(Option<Computed>),
}

/// A failure that another attempt follows.
pub(super) struct Retried {
    pub error: TaskError,
    /// The calls that tell the task's client.
    pub calls: Option<Box<RawValue>>,
}

/// A write, and what the attempt has led to if the attempt still held the lease.
type Written = Result<(Fenced, Settled), StoreError>;

impl Settled {
    fn new(state: State, disposition: Disposition) -> Settled {
        Settled {
            disposition,
            state: Some(state),
            ended: None,
            retried: None,
        }
    }

    fn end(end: End, left: Left) -> Settled {
        let settled = Settled::new(end.state, Disposition::Acknowledge);
        Settled {
            ended: Some(Ended { end, left }),
            ..settled
        }
    }

    /// No write was made or can be made.
    fn left(disposition: Disposition) -> Settled {
        Settled {
            disposition,
            state: None,
            ended: None,
            retried: None,
        }
    }
}

/// An attempt to settle.
struct Settling<'a> {
    worker: &'a Worker,
    task: &'a Task,
    policy: RetryPolicy,
    lease: &'a Lease,
}

impl Worker {
    /// Writes the outcome of an attempt to the record.
    pub(super) async fn settle(
        &self,
        task: &Task,
        policy: RetryPolicy,
        lease: &Lease,
        outcome: Outcome,
    ) -> Settled {
        let settling = Settling {
            worker: self,
            task,
            policy,
            lease,
        };
        let lost = || Settled::left(Disposition::Leave);
        let written = match outcome {
            // Boxed, since this future is large in debug builds.
            Outcome::Finished(Ok(output)) => Box::pin(settling.complete(output)).await,
            Outcome::Finished(Err(failure)) => settling.fail(failure).await,
            Outcome::OutOfTime { has_saved: true } => settling.hand_back().await,
            Outcome::OutOfTime { has_saved: false } => settling.fail(out_of_time()).await,
            Outcome::Cancelled => settling.stop().await,
            Outcome::LeaseLost => Ok((Fenced::Lost, lost())),
            Outcome::StoreFailed(error) => Err(error),
        };
        let written = match written {
            // The job has stopped, or ended after the cancellation: its result is dropped.
            Ok((Fenced::Cancelled, _)) => settling.stop().await,
            written => written,
        };
        match written {
            Ok((Fenced::Written, settled)) => settled,
            Ok(_) => {
                // The worker that holds the task now may have received the same message. If that worker
                // dies too, only this message brings the task back: do not acknowledge it.
                tracing::warn!(task_id = %lease.id, attempt = lease.attempt, "the lease was lost");
                lost()
            }
            Err(error) => Settled::left(store_failed(&lease.id, &error)),
        }
    }
}

impl Settling<'_> {
    fn tasks(&self) -> &TaskStore {
        &self.worker.tasks
    }

    /// An end of the run at the present time. The record gets the same time, so that a repeat of what the end
    /// sets off reads what the first try had.
    fn end_as(&self, state: State) -> End {
        End {
            state,
            run: self.task.run,
            attempt: self.lease.attempt,
            worker: Some(self.worker.name.clone()),
            result: None,
            error: None,
            calls: None,
            is_rejected: false,
            finished_at: now_ms(),
        }
    }

    async fn complete(&self, output: Output) -> Written {
        let (state, json) = match output.ending {
            Ending::Completed => (State::Completed, Some(output.json)),
            Ending::Moved => (State::Moved, None),
        };
        let end = End {
            result: json,
            calls: output.calls,
            ..self.end_as(state)
        };
        let plan = match self.worker.plan(self.task, &end) {
            Ok(plan) => plan,
            Err(error) if end.state == State::Completed => return self.fail(error).await,
            Err(_) => Plan::Open,
        };
        let written = write(&end, plan, async |with| match &end.result {
            Some(json) => {
                let tasks = self.tasks();
                tasks.complete_with(self.lease, json.get(), with).await
            }
            None => self.tasks().move_on(self.lease, with).await,
        });
        match written.await {
            Err(StoreError::TooLarge) => self.fail(too_large(&end)).await,
            written => written.map(|(fenced, left)| (fenced, Settled::end(end, left))),
        }
    }

    async fn fail(&self, failure: JobError) -> Written {
        let backoff = |failure: &JobError| {
            let counted = self.lease.counted;
            self.policy.delay(counted, failure, fastrand::f64())
        };
        let (failure, retry_in) = match failure.retry() {
            Retry::Wait(least) => match wait(self.lease, least, now_ms()) {
                Some(delay) => return self.wait(&failure, delay).await,
                None => {
                    let failure = failure.with_retry(Retry::Backoff);
                    let delay = backoff(&failure);
                    (failure, delay)
                }
            },
            _ => {
                let delay = backoff(&failure);
                (failure, delay)
            }
        };
        match retry_in {
            Some(delay) => self.retry(&failure, delay).await,
            None => self.end_failed(&failure).await,
        }
    }

    /// Ends the run with a failure.
    async fn end_failed(&self, failure: &JobError) -> Written {
        let error = TaskError::from(failure);
        let end = End {
            error: Some(error.clone()),
            calls: failure.calls().map(RawValue::to_owned),
            is_rejected: failure.is_rejected(),
            ..self.end_as(State::Failed)
        };
        let plan = self.worker.plan(self.task, &end).unwrap_or(Plan::Open);
        let written = write(&end, plan, async |with| {
            let failure = TaskFailure {
                is_rejected: end.is_rejected,
                end: with,
                ..TaskFailure::new(&error, None)
            };
            self.tasks().fail(self.lease, failure).await
        });
        let (fenced, left) = written.await?;
        Ok((fenced, Settled::end(end, left)))
    }

    /// Records a failure that another attempt follows.
    async fn retry(&self, failure: &JobError, delay: Duration) -> Written {
        let error = TaskError::from(failure);
        let written = TaskFailure {
            is_counted: !matches!(failure.retry(), Retry::Asked(_)),
            next: failure.next(),
            ..TaskFailure::new(&error, Some(delay))
        };
        let written = self.tasks().fail(self.lease, written).await?;
        let calls = failure.calls().map(RawValue::to_owned);
        let settled = Settled {
            retried: Some(Retried { error, calls }),
            ..Settled::new(State::Retrying, Disposition::Redeliver(delay))
        };
        Ok((written, settled))
    }

    /// Waits as if the attempt had not begun.
    async fn wait(&self, error: &JobError, delay: Duration) -> Written {
        let error = TaskError::from(error);
        let written = self.tasks().wait(self.lease, &error, delay).await?;
        let disposition = Disposition::Redeliver(delay);
        Ok((written, Settled::new(State::Retrying, disposition)))
    }

    async fn hand_back(&self) -> Written {
        let written = self.tasks().hand_back(self.lease).await?;
        let disposition = Disposition::Redeliver(Duration::ZERO);
        Ok((written, Settled::new(State::Pending, disposition)))
    }

    /// Ends a cancelled run. It has the effects of its origin, whatever its body answered.
    async fn stop(&self) -> Written {
        let end = self.end_as(State::Cancelled);
        let stopped = self.tasks().stop_at(self.lease, end.finished_at).await?;
        Ok((stopped, Settled::end(end, Left::All(None))))
    }
}

/// Writes an end with the put that is all that the end sets off, or without the put if DynamoDB does not make
/// both together. Returns what is left to do.
async fn write(
    end: &End,
    plan: Plan,
    write: impl AsyncFn(RunEnd<'_>) -> Result<Fenced, StoreError>,
) -> Result<(Fenced, Left), StoreError> {
    fn at<'a>(end: &End, sets_off: SetsOff<'a>) -> RunEnd<'a> {
        RunEnd {
            at: end.finished_at,
            sets_off,
        }
    }
    let computed = match plan {
        Plan::Open => None,
        Plan::Computed(computed) => Some(computed),
        Plan::Nothing => {
            let written = write(at(end, SetsOff::Nothing)).await?;
            return Ok((written, Left::Nothing));
        }
        Plan::Put(put) => match write(at(end, SetsOff::Put(&put))).await {
            Err(StoreError::NotTogether) => None,
            written => return Ok((written?, Left::Nothing)),
        },
    };
    let calls = end.calls.as_deref();
    let sets_off = calls.map_or(SetsOff::Origin, SetsOff::Calls);
    let written = write(at(end, sets_off)).await?;
    Ok((written, Left::All(computed)))
}

/// The failure of a run whose result or calls do not fit the table.
fn too_large(end: &End) -> JobError {
    let size = |json: &Option<Box<RawValue>>| json.as_ref().map_or(0, |json| json.get().len());
    let bytes = size(&end.result) + size(&end.calls);
    let message = format!("the result has {bytes} bytes, which is too large");
    JobError::permanent("ResultTooLarge", message)
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
