//! Cancelling tasks.

use super::submit::send_for_effects;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::delay::Delays;
use crate::tasks::id::TaskId;
use crate::tasks::metrics;
use crate::tasks::queue::TaskQueue;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::store::{Cancelled, TaskStore};
use crate::tasks::viewer::Viewer;

/// Cancels tasks.
#[derive(Debug, Clone)]
pub struct Canceller {
    tasks: TaskStore,
    delays: Option<Delays>,
    queue: TaskQueue,
}

/// The outcome of a cancellation.
#[derive(Debug)]
pub enum CancelOutcome {
    /// The task is cancelled, now or by an earlier try of the same request.
    Done(TaskRecord),
    /// A worker holds the task, and stops within a heartbeat.
    Requested(TaskRecord),
    /// The task is in this state and stays in it: it had ended, or it was to be cancelled only if no worker
    /// holds it.
    Refused(State),
    /// No such task exists for the viewer.
    Unknown,
}

impl Canceller {
    /// Cancels the tasks in `tasks`, and deletes their one-time schedules in `delays`. A cancelled task with
    /// effects is sent to `queue`, so that a worker performs them.
    pub fn new(tasks: TaskStore, delays: Option<Delays>, queue: TaskQueue) -> Canceller {
        Canceller {
            tasks,
            delays,
            queue,
        }
    }

    /// Cancels a task that `viewer` may see. A cancelled task never completes.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn cancel(&self, viewer: &Viewer, id: &TaskId) -> Result<CancelOutcome, StoreError> {
        let cancelled = self.tasks.cancel(viewer, id).await?;
        self.cancelled(viewer, id, cancelled).await
    }

    /// As [`Canceller::cancel`], but a task that a worker holds goes on.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn cancel_waiting(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<CancelOutcome, StoreError> {
        let cancelled = self.tasks.cancel_waiting(viewer, id).await?;
        self.cancelled(viewer, id, cancelled).await
    }

    /// As [`Canceller::cancel`] for every viewer, and also for a task whose message is still on its way: the
    /// task gets a record in the state cancelled, and the message does not run when it comes.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn revoke(&self, id: &TaskId) -> Result<CancelOutcome, StoreError> {
        let cancelled = self.tasks.revoke(id, true).await?;
        self.cancelled(&Viewer::Everyone, id, cancelled).await
    }

    /// As [`Canceller::revoke`], but a task that a worker holds goes on.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn revoke_waiting(&self, id: &TaskId) -> Result<CancelOutcome, StoreError> {
        let cancelled = self.tasks.revoke(id, false).await?;
        self.cancelled(&Viewer::Everyone, id, cancelled).await
    }

    /// What follows from a cancellation. A repeated request does it again after a crash.
    async fn cancelled(
        &self,
        viewer: &Viewer,
        id: &TaskId,
        cancelled: Cancelled,
    ) -> Result<CancelOutcome, StoreError> {
        match cancelled {
            Cancelled::Unknown => return Ok(CancelOutcome::Unknown),
            Cancelled::Ended(State::Cancelled) | Cancelled::Now | Cancelled::Requested => {}
            Cancelled::Ended(state) => return Ok(CancelOutcome::Refused(state)),
            Cancelled::Runs => return Ok(CancelOutcome::Refused(State::Running)),
        }
        let Some(found) = self.tasks.find(viewer, id).await? else {
            return Ok(CancelOutcome::Unknown);
        };
        let record = found.record;
        if self.send_for_effects(viewer, &record).await {
            self.delete_schedule(&record).await;
        }
        if cancelled == Cancelled::Now {
            let job = record.job.as_deref().unwrap_or("unknown");
            metrics::ended(self.tasks.counts(), job, State::Cancelled).await;
        }
        Ok(match cancelled {
            Cancelled::Requested => CancelOutcome::Requested(record),
            _ => CancelOutcome::Done(record),
        })
    }

    /// Sends the message of a cancelled task again if the task has effects left, because the task's own
    /// message may come late. `false` after a failure: the task's own message then leads to the effects.
    async fn send_for_effects(&self, viewer: &Viewer, record: &TaskRecord) -> bool {
        let has_ended = record.state.is_final();
        if record.effects.is_empty() || record.are_effects_done || !has_ended {
            return true;
        }
        let sent = send_for_effects(&self.tasks, &self.queue, viewer, &record.id).await;
        if let Err(error) = &sent {
            let error = Chain(error);
            tracing::warn!(task_id = %record.id, %error, "a cancelled task was not sent again");
        }
        sent.is_ok()
    }

    /// Deletes the one-time schedule of a cancelled task. After a failure the schedule sends the
    /// task's message, and the worker drops the message.
    async fn delete_schedule(&self, record: &TaskRecord) {
        let is_delayed = record.options.eta.is_some_and(|eta| eta > now_ms());
        let Some(delays) = self.delays.as_ref().filter(|_| is_delayed) else {
            return;
        };
        let deleted = delays.delete(&record.id, record.fingerprint.as_deref());
        if let Err(error) = deleted.await {
            tracing::warn!(task_id = %record.id, %error, "a one-time schedule was not deleted");
        }
    }
}
