//! Cancelling tasks.

use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::delay::Delays;
use crate::tasks::id::TaskId;
use crate::tasks::metrics;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::store::{Cancelled, TaskStore};
use crate::tasks::viewer::Viewer;

/// Cancels tasks.
#[derive(Debug, Clone)]
pub struct Canceller {
    tasks: TaskStore,
    delays: Option<Delays>,
}

/// The outcome of a cancellation.
#[derive(Debug)]
pub enum CancelOutcome {
    /// The task is cancelled, now or by an earlier try of the same request.
    Done(TaskRecord),
    /// A worker holds the task, and stops within a heartbeat.
    Requested(TaskRecord),
    /// The task had ended in this state.
    Refused(State),
    /// No such task exists for the viewer.
    Unknown,
}

impl Canceller {
    /// Cancels the tasks in `tasks`, and deletes their one-time schedules in `delays`.
    pub fn new(tasks: TaskStore, delays: Option<Delays>) -> Canceller {
        Canceller { tasks, delays }
    }

    /// Cancels a task that `viewer` may see. A cancelled task never completes.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn cancel(&self, viewer: &Viewer, id: &TaskId) -> Result<CancelOutcome, StoreError> {
        let cancelled = self.tasks.cancel(viewer, id).await?;
        match cancelled {
            Cancelled::Unknown => return Ok(CancelOutcome::Unknown),
            Cancelled::Ended(State::Cancelled) | Cancelled::Now | Cancelled::Requested => {}
            Cancelled::Ended(state) => return Ok(CancelOutcome::Refused(state)),
        }
        let Some(found) = self.tasks.find(viewer, id).await? else {
            return Ok(CancelOutcome::Unknown);
        };
        let record = found.record;
        self.delete_schedule(&record).await;
        if cancelled == Cancelled::Now {
            let job = record.job.as_deref().unwrap_or("unknown");
            metrics::reached(job, State::Cancelled);
        }
        Ok(match cancelled {
            Cancelled::Requested => CancelOutcome::Requested(record),
            _ => CancelOutcome::Done(record),
        })
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
