//! Reading one record.

use uuid::Uuid;

use super::row::{Found, RecordRow};
use super::{RECORD, TaskStore, key};
use crate::clock::now_ms;
use crate::dynamodb::{StoreError, call_error};
use crate::tasks::record::TaskRecord;
use crate::tasks::viewer::Viewer;

impl TaskStore {
    /// A task's record, or `None` if no record exists, its time has passed, or `viewer` may not see
    /// the task. The read is one consistent `GetItem` in each of these cases, so that the time of an
    /// answer tells nothing about tasks that the viewer may not see, and an id is known as soon as a
    /// submission is answered.
    pub async fn find(&self, viewer: &Viewer, id: Uuid) -> Result<Option<Found>, StoreError> {
        match self.row(viewer, id).await? {
            Some(row) => row.into_found(id).map(Some),
            None => Ok(None),
        }
    }

    /// As [`TaskStore::find`], as a row.
    pub(super) async fn row(
        &self,
        viewer: &Viewer,
        id: Uuid,
    ) -> Result<Option<RecordRow>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(id, RECORD)));
        let row = get.send().await.map_err(call_error)?.item;
        let row = row.map(RecordRow::read).transpose()?;
        let is_seen =
            |row: &RecordRow| !row.is_expired(now_ms()) && viewer.may_see(row.caller.as_deref());
        Ok(row.filter(is_seen))
    }

    /// A record with its result, also if the result is stored in chunks.
    ///
    /// # Errors
    /// When a chunk cannot be read.
    pub async fn with_result(&self, found: Found) -> Result<TaskRecord, StoreError> {
        let Found {
            mut record,
            result_chunks,
        } = found;
        if let Some((first, count)) = result_chunks {
            record.result = Some(self.stored_result(record.id, first, count).await?);
        }
        Ok(record)
    }
}
