//! Writes the outcome of an attempt to the record, and decides the message's disposition.

use std::time::Duration;

use serde_json::value::RawValue;

use super::attempt::Outcome;
use super::message::Disposition;
use super::{Worker, store_failed};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::job::JobError;
use crate::tasks::record::{End, TaskError};
use crate::tasks::retry::RetryPolicy;
use crate::tasks::state::State;
use crate::tasks::store::{Fenced, Lease, TaskFailure};

/// What an attempt has led to.
#[derive(Debug)]
pub(super) struct Settled {
    /// The message's disposition.
    pub disposition: Disposition,
    /// The task's new state, if the attempt still held the lease.
    pub state: Option<State>,
    /// The job's output.
    result: Option<String>,
    /// Why the attempt failed.
    pub error: Option<TaskError>,
}

impl Settled {
    /// The end of the run, if the attempt has ended the run; `worker` is the worker's name.
    pub fn end(self, run: u32, lease: &Lease, worker: &str) -> Option<End> {
        let state = self.state.filter(|state| state.is_final())?;
        let result = self.result.filter(|_| state == State::Completed);
        Some(End {
            state,
            run,
            attempt: lease.attempt,
            worker: Some(worker.to_owned()),
            result: result.and_then(|text| RawValue::from_string(text).ok()),
            error: self.error.filter(|_| state == State::Failed),
            finished_at: now_ms(),
        })
    }
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
        let (mut result, mut error) = (None, None);
        let written = match outcome {
            Outcome::Finished(Ok(text)) => {
                let text = result.insert(text);
                self.complete(lease, text, &mut error).await
            }
            Outcome::Finished(Err(failure)) => self.fail(policy, lease, &failure, &mut error).await,
            Outcome::OutOfTime { has_saved: true } => self.hand_back(lease).await,
            Outcome::OutOfTime { has_saved: false } => {
                self.fail(policy, lease, &out_of_time(), &mut error).await
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
            result,
            error,
        }
    }

    async fn complete(
        &self,
        lease: &Lease,
        result: &str,
        reason: &mut Option<TaskError>,
    ) -> Result<(Fenced, State, Disposition), StoreError> {
        let (written, state) = match self.tasks.complete(lease, result).await {
            Err(StoreError::TooLarge) => {
                let message = format!("the result has {} bytes, which is too large", result.len());
                let failure = TaskFailure {
                    error: reason.insert(TaskError::new("ResultTooLarge", message)),
                    retry_in: None,
                };
                (self.tasks.fail(lease, failure).await?, State::Failed)
            }
            written => (written?, State::Completed),
        };
        Ok((written, state, Disposition::Acknowledge))
    }

    async fn fail(
        &self,
        policy: RetryPolicy,
        lease: &Lease,
        error: &JobError,
        reason: &mut Option<TaskError>,
    ) -> Result<(Fenced, State, Disposition), StoreError> {
        let retry_in = policy.delay(lease.counted, error, fastrand::f64());
        let failure = TaskFailure {
            error: reason.insert(TaskError::new(error.kind(), error.message())),
            retry_in,
        };
        let written = self.tasks.fail(lease, failure).await?;
        Ok(match retry_in {
            Some(delay) => (written, State::Retrying, Disposition::Redeliver(delay)),
            None => (written, State::Failed, Disposition::Acknowledge),
        })
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

fn out_of_time() -> JobError {
    let message = "the attempt did not end within the worker's time";
    JobError::transient("OutOfTime", message).retry_after(Duration::ZERO)
}
