//! Submitting tasks, and running ended tasks again.

use std::time::Duration;

use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::delay::{Delays, Targets};
use crate::tasks::id::TaskId;
use crate::tasks::metrics;
use crate::tasks::queue::{MAX_SQS_DELAY, QueueError, TaskQueue};
use crate::tasks::state::State;
use crate::tasks::store::{MAX_INPUT, NextRun, Restarted, StoredInput, Submitted, TaskStore};
use crate::tasks::task::{Task, whole_seconds};
use crate::tasks::viewer::Viewer;

/// The largest stored input that the message carries as well: SQS bills a message of more than 64 KB
/// as several messages.
pub(super) const MAX_CARRIED_INPUT: usize = 60 * 1024;

/// Submits tasks.
#[derive(Debug, Clone)]
pub struct Submitter {
    pub(super) queue: TaskQueue,
    pub(super) tasks: TaskStore,
    pub(super) delays: Option<(Delays, Targets)>,
}

/// An accepted task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The task.
    pub id: TaskId,
    /// The name of the task's job.
    pub job: String,
    /// The earliest start of the task, in milliseconds since the Unix epoch; `None` for at once.
    pub eta: Option<u64>,
}

impl Accepted {
    pub(super) fn of(task: &Task) -> Accepted {
        Accepted {
            id: task.id.clone(),
            job: task.job.clone(),
            eta: task.options.eta,
        }
    }
}

/// The outcome of a request to run a task again.
#[derive(Debug)]
pub enum RetryOutcome {
    /// The task waits for its next run.
    Accepted(Accepted),
    /// A task in this state cannot run again.
    Refused(State),
    /// What the task's end sets off is not done yet; another run begins after it.
    EffectsLeft,
    /// The record does not hold the task's input.
    WithoutInput,
    /// Another request has run the task again since this request read the record.
    Overtaken,
    /// No such task exists for the viewer.
    Unknown,
}

/// Sends the message of an ended run with effects left again, so that a worker performs them.
pub(super) async fn send_for_effects(
    tasks: &TaskStore,
    queue: &TaskQueue,
    viewer: &Viewer,
    id: &TaskId,
) -> Result<(), SubmitError> {
    if let Some(task) = tasks.effects_message(viewer, id).await? {
        queue.send(&task, Duration::ZERO).await?;
    }
    Ok(())
}

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The input exceeds [`MAX_INPUT`].
    #[error("the input is too large")]
    TooLarge,
    /// The idempotency key was used for another submission.
    #[error("the idempotency key was used for another submission")]
    Different,
    /// The queue did not take the message.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The table failed. The task runs if its message was sent before.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Submitter {
    /// Submits to `queue`, with records in `tasks`. Tasks that are due later than SQS can delay a
    /// message get a one-time schedule in `delays`; without `delays` they wait in the queue.
    pub fn new(queue: TaskQueue, tasks: TaskStore, delays: Option<(Delays, Targets)>) -> Submitter {
        Submitter {
            queue,
            tasks,
            delays,
        }
    }

    /// Submits a task. A submission with an idempotency key may be repeated: the repetition has the
    /// same outcome, also long after the first submission.
    ///
    /// A large input is stored first, the message is sent next, and the record is written last. A
    /// crash in between leaves chunks that expire, or a task that runs, but never a record without a
    /// message. If a worker has already created the record, the put here changes nothing.
    ///
    /// # Errors
    /// When the input is too large, when the idempotency key was used for another submission, and
    /// when the queue or the table does not answer. After a failure of the table the task may run.
    pub async fn submit(&self, task: Task) -> Result<Accepted, SubmitError> {
        if task.fingerprint.is_some()
            && let Some(eta) = self.earlier_submission(&task).await?
        {
            let (id, job) = (task.id, task.job);
            return Ok(Accepted { id, job, eta });
        }
        self.accept(task).await
    }

    /// Submits a task without a look-up of an earlier submission.
    pub(in crate::tasks) async fn accept(&self, mut task: Task) -> Result<Accepted, SubmitError> {
        let accepted = Accepted::of(&task);
        self.put_large(&mut task).await?;
        self.send(task).await?;
        Ok(accepted)
    }

    /// Stores an input that is too large for the record.
    pub(super) async fn put_large(&self, task: &mut Task) -> Result<(), SubmitError> {
        let size = task.input().map_or(0, |input| input.get().len());
        if size > MAX_INPUT {
            return Err(SubmitError::TooLarge);
        }
        match self.tasks.put_large(task).await? {
            StoredInput::Different => Err(SubmitError::Different),
            StoredInput::Chunks(_) => Ok(()),
        }
    }

    /// The eta of the task of an earlier submission with the same idempotency key; the outer `None`
    /// if there is no earlier submission.
    async fn earlier_submission(&self, task: &Task) -> Result<Option<Option<u64>>, SubmitError> {
        // The id is derived from the caller's name and the key, so the task is the caller's own.
        match self.tasks.find(&Viewer::Everyone, &task.id).await? {
            None => Ok(None),
            Some(found) if found.record.fingerprint == task.fingerprint => {
                Ok(Some(found.record.options.eta))
            }
            Some(_) => Err(SubmitError::Different),
        }
    }

    /// Runs a task again, at once and under the same id, if the task ended without a result and
    /// `viewer` may see the task.
    ///
    /// # Errors
    /// As [`Submitter::submit`].
    pub async fn retry(&self, viewer: &Viewer, id: &TaskId) -> Result<RetryOutcome, SubmitError> {
        self.retry_ended(viewer, id, u64::MAX).await
    }

    /// As [`Submitter::retry`], for a task whose present run ended at `time` or before, in milliseconds since
    /// the Unix epoch; a task that ended later is [`RetryOutcome::Overtaken`].
    ///
    /// # Errors
    /// As [`Submitter::submit`].
    pub async fn retry_ended(
        &self,
        viewer: &Viewer,
        id: &TaskId,
        time: u64,
    ) -> Result<RetryOutcome, SubmitError> {
        let task = match self.tasks.next_run_of_ended(viewer, id, time).await? {
            NextRun::Ready(task) => *task,
            NextRun::Refused(state) => return Ok(RetryOutcome::Refused(state)),
            NextRun::EffectsLeft => {
                // The message of the ended run may be lost.
                send_for_effects(&self.tasks, &self.queue, viewer, id).await?;
                return Ok(RetryOutcome::EffectsLeft);
            }
            NextRun::EndedLater => return Ok(RetryOutcome::Overtaken),
            NextRun::WithoutInput => return Ok(RetryOutcome::WithoutInput),
            NextRun::Unknown => return Ok(RetryOutcome::Unknown),
        };
        match self.run_again(&task).await? {
            Restarted::Written => Ok(RetryOutcome::Accepted(Accepted {
                id: task.id,
                job: task.job,
                eta: None,
            })),
            Restarted::Refused => Ok(RetryOutcome::Overtaken),
        }
    }

    /// Sends the message of a task's next run, then sets the record to pending.
    async fn run_again(&self, task: &Task) -> Result<Restarted, SubmitError> {
        self.tasks.keep_chunks(task).await?;
        self.queue.send(task, Duration::ZERO).await?;
        let restarted = self.tasks.restart(task).await?;
        if matches!(restarted, Restarted::Written) {
            metrics::submitted(&task.job);
        }
        Ok(restarted)
    }

    async fn send(&self, mut task: Task) -> Result<(), SubmitError> {
        task.without_stored_over(MAX_CARRIED_INPUT);
        let wait = task.options.wait(now_ms()).unwrap_or_default();
        match (&self.delays, task.options.eta) {
            (Some((delays, targets)), Some(eta)) if wait > MAX_SQS_DELAY => {
                delays.create(&task, eta, targets).await?;
            }
            _ => self.queue.send(&task, whole_seconds(wait)).await?,
        }
        self.record(&task).await
    }

    /// Writes the record of a task whose message is sent.
    pub(super) async fn record(&self, task: &Task) -> Result<(), SubmitError> {
        match self.tasks.submitted(task).await? {
            Submitted::Recorded => {
                metrics::submitted(&task.job);
                Ok(())
            }
            Submitted::Different => Err(SubmitError::Different),
        }
    }
}
