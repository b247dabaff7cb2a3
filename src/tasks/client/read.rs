//! Finding tasks, listing them, and waiting for their end.

use std::time::{Duration, Instant};

use crate::dynamodb::StoreError;
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::store::{Count, ListQuery, TaskPosition, TaskStore};
use crate::tasks::viewer::Viewer;

/// The pause after the first read of a task that has not ended. Each further pause is 1.5 times as
/// long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Reads tasks.
#[derive(Debug, Clone)]
pub struct Reader {
    tasks: TaskStore,
}

impl Reader {
    /// Reads the records in `tasks`.
    pub fn new(tasks: TaskStore) -> Reader {
        Reader { tasks }
    }

    /// A task with its result, or `None` if no such task exists for `viewer`.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn find(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<Option<TaskRecord>, StoreError> {
        self.wait(viewer, id, Duration::ZERO).await
    }

    /// As [`Reader::find`], but waits up to `time` for the task's end.
    ///
    /// # Errors
    /// As [`Reader::find`].
    pub async fn wait(
        &self,
        viewer: &Viewer,
        id: &TaskId,
        time: Duration,
    ) -> Result<Option<TaskRecord>, StoreError> {
        let until = Instant::now() + time;
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(found) = self.tasks.find(viewer, id).await? else {
                return Ok(None);
            };
            let left = until.saturating_duration_since(Instant::now());
            if found.record.state.is_final() || left.is_zero() {
                return self.tasks.with_result(found).await.map(Some);
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// The number of all tasks in a state, by a bounded number of reads; `None` for a state that has no index:
    /// pending, running, completed and moved.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn count(&self, state: State) -> Result<Option<Count>, StoreError> {
        self.tasks.count(state).await
    }

    /// The tasks that `viewer` may see, newest first, and the position of the next page if there may
    /// be more tasks. Results in chunks are left out.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn list(
        &self,
        viewer: &Viewer,
        query: &ListQuery<'_>,
    ) -> Result<(Vec<TaskRecord>, Option<TaskPosition>), StoreError> {
        self.tasks.list(viewer, query).await
    }
}
