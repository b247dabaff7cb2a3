//! Cancelling and retrying all tasks that fit a filter, in bounded steps.

use futures_util::StreamExt;
use futures_util::stream;
use serde::{Deserialize, Serialize};

use super::cancel::{CancelOutcome, Canceller};
use super::submit::{RetryOutcome, SubmitError, Submitter};
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::{Event, State};
use crate::tasks::store::{ListQuery, TaskFilter, TaskPosition, TaskStore};
use crate::tasks::viewer::Viewer;

/// The most tasks that one step changes at a time.
const AT_ONCE: usize = 32;

/// What is done to the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Cancels tasks that have not ended.
    Cancel,
    /// Runs ended tasks without a result again.
    Retry,
}

impl BulkAction {
    /// The states of tasks that the action changes.
    pub const fn states(self) -> &'static [State] {
        match self {
            BulkAction::Cancel => &[
                State::Scheduled,
                State::Pending,
                State::Running,
                State::Retrying,
            ],
            BulkAction::Retry => Event::Restart.sources(),
        }
    }
}

/// An action on all tasks that fit a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// What is done.
    pub action: BulkAction,
    /// Which tasks are meant. Without a state, a retry means failed tasks alone: a cancelled task stays
    /// cancelled unless the filter asks for cancelled tasks.
    pub filter: TaskFilter,
    /// Whether the tasks are only counted.
    pub dry_run: bool,
    /// When the action began, in milliseconds since the Unix epoch. Tasks that were accepted later are left
    /// alone, and so are tasks that ended later: a task that fails again is not retried a second time.
    pub began: u64,
}

/// The numbers of tasks of an action, or of a step of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tasks that fit the filter, and whose state allows the action.
    pub matched: u64,
    /// Tasks that were changed. None in a dry run.
    pub changed: u64,
    /// Tasks that were not changed: another request changed them first, a retry does not know their input, or
    /// what their end sets off is not done, or the change failed.
    pub refused: u64,
}

impl Counts {
    /// Adds the numbers of another step.
    pub fn add(&mut self, other: Counts) {
        self.matched += other.matched;
        self.changed += other.changed;
        self.refused += other.refused;
    }
}

/// The end of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The tasks of the step.
    pub counts: Counts,
    /// Where the next step begins; `None` after the last step.
    pub next: Option<TaskPosition>,
}

/// Cancels and retries many tasks.
#[derive(Debug, Clone)]
pub struct BulkClient {
    tasks: TaskStore,
    submitter: Submitter,
    canceller: Canceller,
}

impl BulkClient {
    /// Finds tasks in `tasks`, and changes them by `submitter` and `canceller`.
    pub fn new(tasks: TaskStore, submitter: Submitter, canceller: Canceller) -> BulkClient {
        BulkClient {
            tasks,
            submitter,
            canceller,
        }
    }

    /// The step of an action that begins behind `after`: at most `limit` tasks that `viewer` may see, newest
    /// first. A step reads a bounded number of records, so that it may find fewer tasks than there are. A
    /// repeated step changes only what the first try has not changed. `own` is a task that is left alone: the
    /// task that performs the action.
    ///
    /// A task whose change fails is counted as refused, with the cause in the log, and the step goes on.
    ///
    /// # Errors
    /// When the table does not answer to the search.
    pub async fn step(
        &self,
        viewer: &Viewer,
        bulk: &Bulk,
        limit: usize,
        after: Option<TaskPosition>,
        own: Option<&TaskId>,
    ) -> Result<Step, StoreError> {
        let query = bulk.query(limit, after);
        let (mut records, next) = self.tasks.list(viewer, &query).await?;
        records.retain(|record| bulk.is_about(record) && own != Some(&record.id));
        let mut counts = Counts {
            matched: records.len() as u64,
            ..Counts::default()
        };
        if !bulk.dry_run {
            let ids = records.into_iter().map(|record| record.id);
            let changes = ids.map(|id| self.change(viewer, bulk, id));
            let changes = stream::iter(changes).buffer_unordered(AT_ONCE);
            let changed = changes.filter(|changed| std::future::ready(*changed));
            counts.changed = changed.count().await as u64;
            counts.refused = counts.matched - counts.changed;
        }
        Ok(Step { counts, next })
    }

    /// Whether the task was changed.
    async fn change(&self, viewer: &Viewer, bulk: &Bulk, id: TaskId) -> bool {
        let changed = match bulk.action {
            BulkAction::Cancel => self.cancel(viewer, bulk, &id).await,
            BulkAction::Retry => self.retry(viewer, bulk, &id).await,
        };
        changed.unwrap_or_else(|error| {
            let error = Chain(&error);
            tracing::warn!(task_id = %id, %error, "one of many tasks was not changed");
            false
        })
    }

    async fn cancel(&self, viewer: &Viewer, bulk: &Bulk, id: &TaskId) -> Result<bool, SubmitError> {
        // Between the search and the write a task may have begun to run.
        let outcome = match bulk.filter.state {
            None | Some(State::Running) => self.canceller.cancel(viewer, id).await?,
            Some(_) => self.canceller.cancel_waiting(viewer, id).await?,
        };
        Ok(matches!(
            outcome,
            CancelOutcome::Done(_) | CancelOutcome::Requested(_)
        ))
    }

    async fn retry(&self, viewer: &Viewer, bulk: &Bulk, id: &TaskId) -> Result<bool, SubmitError> {
        let outcome = self.submitter.retry_ended(viewer, id, bulk.began).await?;
        Ok(matches!(outcome, RetryOutcome::Accepted(_)))
    }
}

impl Bulk {
    fn query(&self, limit: usize, after: Option<TaskPosition>) -> ListQuery {
        let mut filter = self.filter.clone();
        if self.action == BulkAction::Retry {
            filter.state.get_or_insert(State::Failed);
        }
        let end = self.began.saturating_add(1);
        filter.created_before = filter
            .created_before
            .map_or(Some(end), |time| Some(time.min(end)));
        ListQuery {
            filter,
            states: self.action.states(),
            limit,
            after,
        }
    }

    /// Whether the action is about a task that fits its query.
    fn is_about(&self, record: &TaskRecord) -> bool {
        match self.action {
            // A task that was asked to stop needs no other request.
            BulkAction::Cancel => record.cancel_requested_at.is_none(),
            BulkAction::Retry => record.finished_at.is_none_or(|time| time <= self.began),
        }
    }
}

#[cfg(test)]
mod tests;
