//! Reporting the progress of a task from outside of its worker.

use crate::dynamodb::StoreError;
use crate::tasks::id::TaskId;
use crate::tasks::record::Progress;
use crate::tasks::store::{Reported, TaskStore};

/// Reports the progress of tasks.
#[derive(Debug, Clone)]
pub struct Reporter {
    tasks: TaskStore,
}

impl Reporter {
    /// Reports to the records in `tasks`.
    pub fn new(tasks: TaskStore) -> Reporter {
        Reporter { tasks }
    }

    /// Writes the progress of an attempt, if the attempt still runs. A repeated call is harmless.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn report(
        &self,
        id: &TaskId,
        run: u32,
        attempt: u32,
        progress: &Progress,
    ) -> Result<Reported, StoreError> {
        self.tasks.report(id, (run, attempt), progress).await
    }
}
