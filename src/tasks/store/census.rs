//! How many tasks are in a state, by a bounded number of reads.

use aws_sdk_dynamodb::types::Select;
use futures_util::future::try_join_all;

use super::TaskStore;
use super::list::{BY_STATE, SHARDS, has_list, state_partition};
use super::names::STATE_SHARD;
use crate::dynamodb::{StoreError, call_error};
use crate::tasks::state::State;

/// The most entries that are counted in one partition of the index, and the most reads of a partition: 4,000
/// tasks of a state cost about 110 read units.
const COUNTED: i32 = 500;

/// A number that was counted by a bounded number of reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// The number.
    pub count: u64,
    /// Whether there may be more.
    pub at_least: bool,
}

impl Count {
    /// All that there are.
    pub fn exact(count: u64) -> Count {
        Count {
            count,
            at_least: false,
        }
    }

    /// At least as many.
    pub fn at_least(count: u64) -> Count {
        Count {
            count,
            at_least: true,
        }
    }

    /// Both together.
    pub fn and(self, other: Count) -> Count {
        Count {
            count: self.count + other.count,
            at_least: self.at_least || other.at_least,
        }
    }
}

impl TaskStore {
    /// The number of tasks in a state that the index `by_state` lists; `None` for another state. The index is
    /// eventually consistent, and has a record that has expired until DynamoDB deletes the record, which takes
    /// some days at most.
    pub async fn count(&self, state: State) -> Result<Option<Count>, StoreError> {
        if !has_list(state) {
            return Ok(None);
        }
        let shards = (0..SHARDS).map(|shard| self.count_shard(state, shard));
        let counts = try_join_all(shards).await?;
        Ok(counts.into_iter().reduce(Count::and))
    }

    async fn count_shard(&self, state: State, shard: u8) -> Result<Count, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(BY_STATE)
            .select(Select::Count)
            .key_condition_expression("#shard = :shard")
            .expression_attribute_names("#shard", STATE_SHARD)
            .expression_attribute_values(":shard", state_partition(state, shard))
            .limit(COUNTED);
        let page = query.send().await.map_err(call_error)?;
        Ok(Count {
            count: page.count().try_into().unwrap_or(0),
            at_least: page.last_evaluated_key().is_some(),
        })
    }
}
