//! Submitting tasks, and running ended tasks again.

use std::time::Duration;

use uuid::Uuid;

use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::delay::{Delays, Targets};
use crate::tasks::metrics;
use crate::tasks::queue::{MAX_SQS_DELAY, QueueError, TaskQueue};
use crate::tasks::state::State;
use crate::tasks::store::{MAX_INPUT, NextRun, Restarted, StoredInput, Submitted, TaskStore};
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// The largest input that travels in the message although it is stored too: SQS bills a message of
/// more than 64 KB as several.
const CARRIED_INPUT: usize = 60 * 1024;

/// Submits tasks.
#[derive(Debug, Clone)]
pub struct Submitter {
    queue: TaskQueue,
    tasks: TaskStore,
    delays: Option<(Delays, Targets)>,
}

/// An accepted task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The task.
    pub id: Uuid,
    /// The name of the task's job.
    pub job: String,
    /// The earliest time at which the task may begin, in milliseconds since the Unix epoch; `None`
    /// for at once.
    pub eta: Option<u64>,
}

/// The outcome of a request to run a task again.
#[derive(Debug)]
pub enum Retrying {
    /// The task waits for its next run.
    Accepted(Accepted),
    /// A task in this state cannot run again.
    Refused(State),
    /// The record does not know the task's input.
    WithoutInput,
    /// Another request has run the task again since this request read it.
    Overtaken,
    /// No such task exists for the viewer.
    Unknown,
}

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The input is larger than can be stored.
    #[error("the input is too large")]
    TooLarge,
    /// The idempotency key was used for another submission.
    #[error("the idempotency key was used for another submission")]
    Different,
    /// The queue did not take the message.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The table failed. If the message was sent, the task runs all the same.
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

    /// Submits a task. A submission with an idempotency key may be repeated: the same submission has
    /// the same outcome, also long after the first one was accepted.
    ///
    /// A large input is stored first, the message is sent next, and the record is written last: a
    /// crash in between leaves chunks that expire, or a task that runs, and never a record that waits
    /// for a message that nobody sent. If the worker is faster and has written the record, the put
    /// here succeeds without an effect.
    ///
    /// # Errors
    /// When the input is too large, when the idempotency key was used for another submission, and
    /// when queue or table do not answer; in that last case the task may run all the same.
    pub async fn submit(&self, task: Task) -> Result<Accepted, SubmitError> {
        if task.fingerprint.is_some()
            && let Some(eta) = self.known(&task).await?
        {
            let (id, job) = (task.id, task.job);
            return Ok(Accepted { id, job, eta });
        }
        self.accept(task).await
    }

    /// Submits a task without asking whether the same submission was accepted before.
    pub(in crate::tasks) async fn accept(&self, mut task: Task) -> Result<Accepted, SubmitError> {
        let accepted = Accepted {
            id: task.id,
            job: task.job.clone(),
            eta: task.options.eta,
        };
        let size = task.input().map_or(0, |input| input.get().len());
        if size > MAX_INPUT {
            return Err(SubmitError::TooLarge);
        }
        match self.tasks.put_input(&task).await? {
            StoredInput::Chunks(count) => task.input_chunks = count,
            StoredInput::Different => return Err(SubmitError::Different),
        }
        self.send(task).await?;
        Ok(accepted)
    }

    /// The time of the task that an earlier submission with the same idempotency key has made.
    async fn known(&self, task: &Task) -> Result<Option<Option<u64>>, SubmitError> {
        // The id is made of the caller's name and the key, so the task is the caller's.
        match self.tasks.find(&Viewer::Everyone, task.id).await? {
            None => Ok(None),
            Some(found) if found.record.fingerprint == task.fingerprint => {
                Ok(Some(found.record.options.eta))
            }
            Some(_) => Err(SubmitError::Different),
        }
    }

    /// Runs a task that ended without a result again, at once and under the same id, if `viewer` may
    /// see the task.
    ///
    /// # Errors
    /// As [`Submitter::submit`].
    pub async fn retry(&self, viewer: &Viewer, id: Uuid) -> Result<Retrying, SubmitError> {
        let task = match self.tasks.next_run(viewer, id).await? {
            NextRun::Ready(task) => *task,
            NextRun::Refused(state) => return Ok(Retrying::Refused(state)),
            NextRun::WithoutInput => return Ok(Retrying::WithoutInput),
            NextRun::Unknown => return Ok(Retrying::Unknown),
        };
        match self.run_again(&task).await? {
            Restarted::Written => Ok(Retrying::Accepted(Accepted {
                id,
                job: task.job,
                eta: None,
            })),
            Restarted::Refused => Ok(Retrying::Overtaken),
        }
    }

    /// Sends a task's next run, and then writes that the record waits for it.
    async fn run_again(&self, task: &Task) -> Result<Restarted, SubmitError> {
        self.tasks.keep_input(task).await?;
        self.queue.send(task, Duration::ZERO).await?;
        let restarted = self.tasks.restart(task).await?;
        if matches!(restarted, Restarted::Written) {
            metrics::submitted(&task.job);
        }
        Ok(restarted)
    }

    async fn send(&self, mut task: Task) -> Result<(), SubmitError> {
        let carried = task.input().map_or(0, |input| input.get().len());
        if carried > CARRIED_INPUT && task.input_chunks > 0 {
            let chunks = task.input_chunks;
            task.without_input(chunks);
        }
        let wait = task.options.wait(now_ms()).unwrap_or_default();
        match (&self.delays, task.options.eta) {
            (Some((delays, targets)), Some(eta)) if wait > MAX_SQS_DELAY => {
                delays.create(&task, eta, targets).await?;
            }
            _ => self.queue.send(&task, wait).await?,
        }
        match self.tasks.submitted(&task).await? {
            Submitted::Recorded => {
                metrics::submitted(&task.job);
                Ok(())
            }
            Submitted::Different => Err(SubmitError::Different),
        }
    }
}
