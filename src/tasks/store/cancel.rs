//! Cancellation and expiry of tasks.

use super::names::*;
use super::update::Update;
use super::{TaskStore, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, number, text};
use crate::tasks::id::TaskId;
use crate::tasks::state::{Event, State};
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// The outcome of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The task is cancelled.
    Now,
    /// A worker holds the task and will stop.
    Requested,
    /// The task had ended in this state.
    Ended(State),
    /// A worker holds the task and goes on.
    Runs,
    /// The viewer sees no such task.
    Unknown,
}

impl TaskStore {
    /// Cancels a task that `viewer` may see: at once if no worker holds the task, else by a request
    /// in the record. The worker reads the request at its next heartbeat.
    pub async fn cancel(&self, viewer: &Viewer, id: &TaskId) -> Result<Cancelled, StoreError> {
        self.cancel_by(Event::Cancel, viewer, id, true).await
    }

    /// As [`TaskStore::cancel`], but a task that a worker holds goes on.
    pub async fn cancel_waiting(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<Cancelled, StoreError> {
        self.cancel_by(Event::Cancel, viewer, id, false).await
    }

    /// As [`TaskStore::cancel`], for a task whose message may still be on its way: an id without a record
    /// gets a record of a cancelled task, so that the message does not run. The record is kept for the
    /// retention. A worker that holds the task is asked to stop if `stop` is set, and goes on otherwise.
    pub async fn revoke(&self, id: &TaskId, stop: bool) -> Result<Cancelled, StoreError> {
        self.cancel_by(Event::Revoke, &Viewer::Everyone, id, stop)
            .await
    }

    async fn cancel_by(
        &self,
        event: Event,
        viewer: &Viewer,
        id: &TaskId,
        stop: bool,
    ) -> Result<Cancelled, StoreError> {
        // The state may change between the two writes, so try a few times.
        for _ in 0..3 {
            let cancel = self.event(id, event).remove(NEXT_AT);
            let cancel = match event.creates() {
                true => cancel
                    .describe_id(id, now_ms())
                    .set_once(ATTEMPTS, number(0)),
                false => cancel,
            };
            let cancel = when_visible_to(self.with_end(cancel), viewer);
            let Err(row) = cancel.send().await? else {
                return Ok(Cancelled::Now);
            };
            let caller = row::find_text(&row, CALLER);
            let seen = !row.is_empty() && viewer.may_see(caller.as_deref());
            if !seen || row::is_expired(&row, now_ms())? {
                return Ok(Cancelled::Unknown);
            }
            let state = state(&row)?;
            if state.is_final() {
                return Ok(Cancelled::Ended(state));
            }
            if state == State::Running && !stop {
                return Ok(Cancelled::Runs);
            }
            if state == State::Running && self.request_cancel(viewer, id).await? {
                return Ok(Cancelled::Requested);
            }
        }
        Err(StoreError::Busy)
    }

    /// Asks the worker of a running task to stop. A repeated request changes nothing.
    async fn request_cancel(&self, viewer: &Viewer, id: &TaskId) -> Result<bool, StoreError> {
        let request = self
            .event(id, Event::RequestCancel)
            .set_once(CANCEL_REQUESTED_AT, number(now_ms()));
        Ok(when_visible_to(request, viewer).send().await?.is_ok())
    }

    /// Ends a task whose expiry has passed before the next attempt began. `false` if the task runs or
    /// has ended.
    pub async fn expire(&self, task: &Task) -> Result<bool, StoreError> {
        let expire = self
            .event(&task.id, Event::Expire)
            .when_is(RUN, number(task.run))
            .when_same_submission(task)
            .describe(task)
            .set_once(ATTEMPTS, number(0))
            .remove(NEXT_AT);
        Ok(self.with_end(expire).send().await?.is_ok())
    }
}

/// Adds the condition that `viewer` may see the task.
fn when_visible_to(update: Update, viewer: &Viewer) -> Update {
    match viewer.only() {
        Some(caller) => update.when_is(CALLER, text(caller)),
        None => update,
    }
}
