//! The index of what is due, spread over partitions.

use super::{ScheduleStore, names};
use crate::dynamodb::row::{Row, number};
use crate::dynamodb::{BATCH_KEYS, StoreError, call_error};
use crate::schedules::schedule::Schedule;

/// The partitions of the index. Each time that is handed out moves its row in the index, and a partition takes
/// 1,000 writes a second (AWS' "Service, account, and table quotas").
pub const SHARDS: u8 = 8;

pub(super) const BY_DUE: &str = "by_due";

/// The partition of a schedule. The first byte of the random id is random.
pub(super) fn shard(schedule: &Schedule) -> u8 {
    schedule.uid.as_bytes()[0] % SHARDS
}

/// A page of the schedules that are due.
#[derive(Debug)]
pub struct DuePage {
    /// The schedules, by the time at which they are due.
    pub schedules: Vec<Schedule>,
    /// The place of the next page, if there may be one.
    pub next: Option<Row>,
}

impl ScheduleStore {
    /// The next schedules of a partition that are due at the time `until` or before, those that are due
    /// first at the front. The index is eventually consistent, so a schedule may have been handed out
    /// already; the rows are read consistently.
    pub async fn due(
        &self,
        shard: u8,
        until: u64,
        from: Option<Row>,
    ) -> Result<DuePage, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_DUE)
            .key_condition_expression("due_shard = :shard AND due <= :until")
            .expression_attribute_values(":shard", number(shard))
            .expression_attribute_values(":until", number(until))
            .limit(i32::try_from(BATCH_KEYS).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from);
        let page = query.send().await.map_err(call_error)?;
        let names = names(page.items())?;
        let mut schedules = self.batch(&names).await?;
        schedules.sort_by_key(Schedule::due);
        Ok(DuePage {
            schedules,
            next: page.last_evaluated_key,
        })
    }
}
