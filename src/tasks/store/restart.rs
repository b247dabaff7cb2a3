//! Restarts: the next run of an ended task.

use aws_sdk_dynamodb::types::AttributeValue;

use super::TaskStore;
use super::names::*;
use super::update::Update;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, EXPIRES_AT, number};
use crate::tasks::id::TaskId;
use crate::tasks::state::{self, Event, State};
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// The attributes of one run. A restart removes them.
pub(super) const RUN_ATTRIBUTES: [&str; 23] = [
    CONTINUATIONS,
    ETA,
    EXPIRES,
    STARTED_AT,
    FINISHED_AT,
    EXPIRES_AT,
    NEXT_AT,
    CANCEL_REQUESTED_AT,
    LEASE_UNTIL,
    LEASE_TOKEN,
    ERROR_KIND,
    ERROR_MESSAGE,
    ERROR_TRACEBACK,
    ERROR_MODULE,
    PROGRESS,
    CALLS,
    CALLS_CHUNKS,
    CALLS_PART,
    REJECTED,
    NEXT,
    NEXT_CHUNKS,
    NEXT_PART,
    SKIPPED_FOR,
];

/// The outcome of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarted {
    /// The record waits for the next run.
    Written,
    /// The task is in another state or in a later run.
    Refused,
}

/// The next run of a task.
#[derive(Debug)]
pub enum NextRun {
    /// The task to send.
    Ready(Box<Task>),
    /// A task in this state cannot run again.
    Refused(State),
    /// What the run's end sets off is not done yet.
    EffectsLeft,
    /// The present run has not ended before the time that the caller named.
    EndedLater,
    /// The record does not hold the task's input.
    WithoutInput,
    /// The viewer sees no such task.
    Unknown,
}

impl TaskStore {
    /// The next run of an ended task. State, run and input come from one read, so two callers at the
    /// same time get the same run.
    pub async fn next_run(&self, viewer: &Viewer, id: &TaskId) -> Result<NextRun, StoreError> {
        self.next_run_of_ended(viewer, id, u64::MAX).await
    }

    /// As [`TaskStore::next_run`], for a task whose present run ended at `time` or before, in milliseconds
    /// since the Unix epoch.
    pub async fn next_run_of_ended(
        &self,
        viewer: &Viewer,
        id: &TaskId,
        time: u64,
    ) -> Result<NextRun, StoreError> {
        let Some(row) = self.row(viewer, id).await? else {
            return Ok(NextRun::Unknown);
        };
        let state = row.state;
        if state::next(Some(state), Event::Restart).is_err() {
            return Ok(NextRun::Refused(state));
        }
        if row.finished_at.is_some_and(|finished| finished > time) {
            return Ok(NextRun::EndedLater);
        }
        if row.has_effects_left() {
            return Ok(NextRun::EffectsLeft);
        }
        let task = row.next_run(id, now_ms())?;
        Ok(task.map_or(NextRun::WithoutInput, |task| NextRun::Ready(Box::new(task))))
    }

    /// Sets an ended task to pending for the run of `task`. The message of that run is sent before.
    pub async fn restart(&self, task: &Task) -> Result<Restarted, StoreError> {
        self.restart_at(task, now_ms()).await
    }

    pub(super) async fn restart_at(&self, task: &Task, now: u64) -> Result<Restarted, StoreError> {
        let restart = self
            .event(&task.id, Event::Restart)
            .when_is(RUN, number(task.run.saturating_sub(1)))
            // Only the message of the ended run leads to the run's effects.
            .when_effects_done(task.run.saturating_sub(1))
            .set(RUN, number(task.run))
            .set(ATTEMPTS, number(0))
            .set(HISTORY, AttributeValue::L(Vec::new()))
            .set("restarted_at", number(now));
        let restart = RUN_ATTRIBUTES.into_iter().fold(restart, Update::remove);
        Ok(match restart.send().await? {
            Ok(_) => Restarted::Written,
            // An earlier try of this write, or a worker that already claimed the run.
            Err(row) if row::find_number(&row, RUN)? == Some(task.run) => Restarted::Written,
            Err(_) => Restarted::Refused,
        })
    }
}
