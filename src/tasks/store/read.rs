//! Reading one record.

use serde_json::value::RawValue;

use super::row::{Found, RecordRow};
use super::{RECORD, TaskStore, key};
use crate::clock::now_ms;
use crate::dynamodb::row::Row;
use crate::dynamodb::{StoreError, call_error};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

impl TaskStore {
    /// A task's record, or `None` if no record exists, the record has expired, or `viewer` may not see
    /// the task. Each case costs one consistent `GetItem`: the time of an answer reveals nothing about
    /// other callers' tasks, and a task is found as soon as its submission is answered.
    pub async fn find(&self, viewer: &Viewer, id: &TaskId) -> Result<Option<Found>, StoreError> {
        match self.row(viewer, id).await? {
            Some(row) => row.into_found(id).map(Some),
            None => Ok(None),
        }
    }

    /// As [`TaskStore::find`], but returns the row.
    pub(super) async fn row(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<Option<RecordRow>, StoreError> {
        let row = self.get_row(id).await?;
        let row = row.map(RecordRow::read).transpose()?;
        let is_visible =
            |row: &RecordRow| !row.is_expired(now_ms()) && viewer.may_see(row.caller.as_deref());
        Ok(row.filter(is_visible))
    }

    pub(super) async fn get_row(&self, id: &TaskId) -> Result<Option<Row>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(id, RECORD)));
        Ok(get.send().await.map_err(call_error)?.item)
    }

    /// The data of the origin of a task that `viewer` may see, from the record or from its chunks; `None` without
    /// such data.
    pub async fn origin_data(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<Option<Box<RawValue>>, StoreError> {
        let Some(mut task) = self.described(viewer, id).await? else {
            return Ok(None);
        };
        self.read_origin(&mut task).await?;
        let origin = task.origin.as_ref();
        let data = origin.and_then(|origin| origin.data());
        Ok(data.map(ToOwned::to_owned))
    }

    /// The input of a task that `viewer` may see, from the record or from its chunks; `None` if neither has the
    /// input.
    pub async fn input(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<Option<Box<RawValue>>, StoreError> {
        match self.described(viewer, id).await? {
            Some(task) if task.input_chunks > 0 => self.stored_input(&task).await,
            task => Ok(task.and_then(|task| task.input().map(ToOwned::to_owned))),
        }
    }

    /// A task as its record describes the task, without the parts that are in chunks.
    async fn described(&self, viewer: &Viewer, id: &TaskId) -> Result<Option<Task>, StoreError> {
        match self.row(viewer, id).await? {
            Some(row) => row.message(id, now_ms()),
            None => Ok(None),
        }
    }

    /// The record with its result. A result in chunks is read from the table.
    ///
    /// # Errors
    /// When a chunk cannot be read.
    pub async fn with_result(&self, found: Found) -> Result<TaskRecord, StoreError> {
        let Found {
            mut record,
            result_chunks,
            ..
        } = found;
        if let Some(stored) = result_chunks {
            record.result = Some(self.stored(&record.id, stored).await?);
        }
        Ok(record)
    }
}
