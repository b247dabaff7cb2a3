//! The table of schedules: one row for each schedule, under the schedule's name.
//!
//! Each write replaces the whole row on the condition that the row is still the one that was read: the row's
//! *stamp*, another random text in each write, is compared. So of two writers one writes again what the other
//! wrote before, and a writer whose answer was lost recognizes its own write by its stamp.

mod due;
mod late;
mod list;
mod record;

pub use due::{DuePage, SHARDS};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use uuid::Uuid;

use super::schedule::Schedule;
use crate::dynamodb::row::{self, ID, Row, text};
use crate::dynamodb::{StoreError, batch_get, call_error, condition_held, refused_by};
use crate::tasks::viewer::Viewer;

/// The name of a row's last write.
const STAMP: &str = "stamp";

/// The table of schedules.
#[derive(Debug, Clone)]
pub struct ScheduleStore {
    client: Client,
    table: String,
}

/// The names in the entries of an index.
fn names(entries: &[Row]) -> Result<Vec<String>, StoreError> {
    let names = entries.iter().map(|entry| row::get_text(entry, ID));
    names.collect()
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The row is written, now or by an earlier try of the same call.
    Done,
    /// Another writer has changed, deleted or created the row.
    Overtaken,
}

impl ScheduleStore {
    /// The schedules in `table`.
    pub fn new(client: Client, table: String) -> ScheduleStore {
        ScheduleStore { client, table }
    }

    /// The schedule with this name, if `viewer` may see it. The read is consistent.
    pub async fn get(&self, viewer: &Viewer, name: &str) -> Result<Option<Schedule>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(name)));
        let row = get.send().await.map_err(call_error)?.item;
        let schedule = row.map(record::read).transpose()?;
        Ok(schedule.filter(|found| viewer.may_see(found.caller.as_deref())))
    }

    /// Writes a new schedule; [`Written::Overtaken`] if the name is taken.
    pub async fn create(&self, schedule: &mut Schedule) -> Result<Written, StoreError> {
        self.put(schedule, None).await
    }

    /// Writes a schedule over the row that it was read from.
    pub async fn write(&self, schedule: &mut Schedule) -> Result<Written, StoreError> {
        let seen = schedule.stamp;
        self.put(schedule, Some(seen)).await
    }

    async fn put(
        &self,
        schedule: &mut Schedule,
        seen: Option<Uuid>,
    ) -> Result<Written, StoreError> {
        schedule.stamp = Uuid::new_v4();
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(record::write(schedule)?))
            .return_values_on_condition_check_failure(AllOld);
        let put = match seen {
            None => put.condition_expression("attribute_not_exists(id)"),
            Some(seen) => put
                .condition_expression("stamp = :seen")
                .expression_attribute_values(":seen", text(seen.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => {
                let existing = row::find_text(&refused_by(error)?, STAMP);
                match existing == Some(schedule.stamp.to_string()) {
                    true => Ok(Written::Done),
                    false => Ok(Written::Overtaken),
                }
            }
        }
    }

    /// Deletes a schedule, if its row is still the one that was read.
    pub async fn delete(&self, schedule: &Schedule) -> Result<Written, StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(&schedule.name)))
            // An earlier try of this call may have deleted the row.
            .condition_expression("attribute_not_exists(id) OR stamp = :seen")
            .expression_attribute_values(":seen", text(schedule.stamp.to_string()));
        match condition_held(delete.send().await)? {
            true => Ok(Written::Done),
            false => Ok(Written::Overtaken),
        }
    }

    /// The schedules with these names, in any order. A row that cannot be read is left out, and logged.
    async fn batch(&self, names: &[String]) -> Result<Vec<Schedule>, StoreError> {
        let keys = names.iter().map(|name| key(name)).collect();
        let rows = batch_get(&self.client, &self.table, keys, true).await?;
        let read = |row: Row| {
            let name = row::find_text(&row, ID).unwrap_or_default();
            let schedule = record::read(row);
            if let Err(error) = &schedule {
                tracing::error!(schedule = name, %error, "a schedule cannot be read");
            }
            schedule.ok()
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

fn key(name: &str) -> Row {
    Row::from([(ID.to_owned(), text(name))])
}
