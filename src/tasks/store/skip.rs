//! Skipping a time of a schedule whose earlier task has not ended.

use super::attempt::with_error;
use super::names::*;
use super::{TaskStore, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, number, text};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskError;
use crate::tasks::state::Event;
use crate::tasks::task::Task;

/// The kind of the error of a skipped task.
const OVERLAP: &str = "Overlap";

impl TaskStore {
    /// Whether the task was skipped, now or before: it is a time of a schedule, no attempt of it has begun,
    /// and the task of the time before has not ended. A skipped task expires.
    pub async fn skip_overlapping(&self, task: &Task) -> Result<bool, StoreError> {
        let schedule = task.schedule.as_ref();
        let Some(after) = schedule.and_then(|schedule| schedule.after.as_ref()) else {
            return Ok(false);
        };
        match self.unended(after).await? {
            Some(earlier) => self.skip(task, &earlier).await,
            None => Ok(false),
        }
    }

    /// The task `id`, or the task that `id` was skipped for, if that task has not ended. A task without a
    /// record has ended, or its message of another format was not received yet.
    async fn unended(&self, id: &TaskId) -> Result<Option<TaskId>, StoreError> {
        let mut id = id.clone();
        // A task is skipped for a task that was not skipped, so the second row decides.
        for _ in 0..2 {
            let Some(row) = self.get_row(&id).await? else {
                return Ok(None);
            };
            if !state(&row)?.is_final() {
                return Ok(Some(id));
            }
            let skipped_for = row::find_text(&row, SKIPPED_FOR);
            match skipped_for.as_deref().and_then(TaskId::parse) {
                Some(earlier) => id = earlier,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn skip(&self, task: &Task, earlier: &TaskId) -> Result<bool, StoreError> {
        let reason = format!("the schedule's task {earlier} had not ended");
        let skip = self
            .event(&task.id, Event::Expire)
            .when_is(RUN, number(task.run))
            .when_same_submission(task)
            // A task that has begun goes on, whatever the earlier task does.
            .when_none(STARTED_AT)
            .describe(task)
            .set_once(ATTEMPTS, number(0))
            .set(SKIPPED_FOR, text(earlier.as_str()))
            .remove(NEXT_AT);
        let skip = with_error(
            self.with_end(skip, now_ms()),
            &TaskError::new(OVERLAP, reason),
            true,
        );
        Ok(skip.send().await?.is_ok())
    }
}
