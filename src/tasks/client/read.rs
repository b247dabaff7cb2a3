//! Finding tasks, listing them, and waiting for their end.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

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

    /// The data of a task's origin, which `viewer` may see. Most records hold the data, and then nothing is
    /// read. `None` for a task of the service's own format.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn origin_data(
        &self,
        viewer: &Viewer,
        record: &mut TaskRecord,
    ) -> Result<Option<Box<RawValue>>, StoreError> {
        match (&record.origin, record.origin_data.take()) {
            (None, _) => Ok(None),
            (Some(_), None) => self.tasks.origin_data(viewer, &record.id).await,
            (Some(_), data) => Ok(data),
        }
    }

    /// The input of a task, which `viewer` may see. A small input is in the record, and then nothing is read. `None`
    /// if the message of the task was unreadable.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn input(
        &self,
        viewer: &Viewer,
        record: &mut TaskRecord,
    ) -> Result<Option<Box<RawValue>>, StoreError> {
        match record.input.take() {
            None => self.tasks.input(viewer, &record.id).await,
            input => Ok(input),
        }
    }

    /// The tasks that `viewer` may see, newest first, and the position of the next page if there may
    /// be more tasks. Results in chunks are left out.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn list(
        &self,
        viewer: &Viewer,
        query: &ListQuery,
    ) -> Result<(Vec<TaskRecord>, Option<TaskPosition>), StoreError> {
        self.tasks.list(viewer, query).await
    }
}
