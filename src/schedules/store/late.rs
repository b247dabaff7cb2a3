//! How many schedules are late.

use aws_sdk_dynamodb::types::Select;
use futures_util::future::try_join_all;

use super::ScheduleStore;
use super::due::{BY_DUE, SHARDS};
use crate::dynamodb::row::number;
use crate::dynamodb::{StoreError, call_error};
use crate::schedules::schedule::Schedule;
use crate::tasks::store::Count;
use crate::tasks::viewer::Viewer;

/// The most schedules that are counted in one partition of the index.
const COUNTED: i32 = 250;
/// The most schedules of a caller that are looked at.
const OWN: usize = 100;

impl ScheduleStore {
    /// The number of schedules of `viewer` that were due at the time `until` or before, and have not been
    /// handed out: all of the schedules by the index of what is due, or the first 100 of a caller's own.
    pub async fn late(&self, viewer: &Viewer, until: u64) -> Result<Count, StoreError> {
        if viewer.only().is_some() {
            let (schedules, more) = self.list(viewer, OWN, None).await?;
            let is_late = |one: &&Schedule| one.due().is_some_and(|due| due <= until);
            return Ok(Count {
                count: schedules.iter().filter(is_late).count() as u64,
                at_least: more.is_some(),
            });
        }
        let shards = (0..SHARDS).map(|shard| self.late_in(shard, until));
        let counts = try_join_all(shards).await?.into_iter();
        Ok(counts.reduce(Count::and).unwrap_or_default())
    }

    async fn late_in(&self, shard: u8, until: u64) -> Result<Count, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_DUE)
            .select(Select::Count)
            .key_condition_expression("due_shard = :shard AND due <= :until")
            .expression_attribute_values(":shard", number(shard))
            .expression_attribute_values(":until", number(until))
            .limit(COUNTED);
        let page = query.send().await.map_err(call_error)?;
        Ok(Count {
            count: page.count().try_into().unwrap_or(0),
            at_least: page.last_evaluated_key().is_some(),
        })
    }
}
