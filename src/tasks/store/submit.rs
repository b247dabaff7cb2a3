//! The record of an accepted task.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::names::*;
use super::{RECORD, TaskStore, description, key, list};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, EXPIRES_AT, Row, number, text};
use crate::dynamodb::{StoreError, condition_held, refused_by};
use crate::tasks::id::TaskId;
use crate::tasks::state::{self, Event, State};
use crate::tasks::task::Task;

/// The outcome of writing the record of an accepted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// The record exists: written now, by an earlier try of this call, or by a worker.
    Recorded,
    /// The id belongs to a submission with another fingerprint.
    Different,
}

impl TaskStore {
    /// Writes the record of an accepted task.
    pub async fn submitted(&self, task: &Task) -> Result<Submitted, StoreError> {
        loop {
            let Err(row) = self.put_record(task).await? else {
                return Ok(Submitted::Recorded);
            };
            if super::state(&row)?.is_final() && row::is_expired(&row, now_ms())? {
                self.delete_expired(&task.id, &row).await?;
            } else if row::find_text(&row, FINGERPRINT) == task.fingerprint {
                return Ok(Submitted::Recorded);
            } else {
                return Ok(Submitted::Different);
            }
        }
    }

    async fn put_record(&self, task: &Task) -> Result<Result<(), Row>, StoreError> {
        let event = match task.options.eta {
            Some(_) => Event::Schedule,
            None => Event::Submit,
        };
        let state = state::next(None, event).unwrap_or(State::Pending);
        let mut row = key(&task.id, RECORD);
        row.extend(
            description(task)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        row.extend([
            (STATE.to_owned(), text(state.as_str())),
            (RUN.to_owned(), number(task.run)),
            (ATTEMPTS.to_owned(), number(0)),
        ]);
        if let Some(shard) = list::state_shard(&task.id, state) {
            row.insert(STATE_SHARD.to_owned(), text(shard));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(AllOld);
        match put.send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => refused_by(error).map(Err),
        }
    }

    /// Deletes an expired row, so that its id may be used again.
    pub(super) async fn delete_expired(&self, id: &TaskId, row: &Row) -> Result<(), StoreError> {
        let seconds: u64 = row::get_number(row, EXPIRES_AT)?;
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(id, RECORD)))
            .condition_expression("expires_at = :seen")
            .expression_attribute_values(":seen", number(seconds));
        condition_held(delete.send().await).map(drop)
    }
}
