//! Filters of lists: which tasks are meant, and where an index has them.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::list::{BY_CALLER, BY_SCHEDULE, BY_STATE, BY_TIME, SHARDS};
use super::list::{ListQuery, TaskPosition, caller_shard, has_list};
use super::names::*;
use crate::dynamodb::row::{ID, number, text};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::viewer::Viewer;

/// The latest time that a key of the lists can hold, in milliseconds since the Unix epoch: 13 digits, in the
/// year 2286.
const MAX_TIME: u64 = 9_999_999_999_999;

/// Which tasks are meant: those that fit all given fields. Without a field, all tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskFilter {
    /// Tasks in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Tasks of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Tasks of jobs whose names begin with this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_prefix: Option<String>,
    /// Tasks that this caller submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Tasks of the schedule with this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Tasks that were accepted at this time or later, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<u64>,
    /// Tasks that were accepted before this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<u64>,
    /// Tasks whose last attempt failed with an error of this kind; failed tasks alone, unless `state` names
    /// another state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tasks whose ids begin with this text. A text with which a UUID can begin, of two characters or more,
    /// finds only ids in the form of issued ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_prefix: Option<String>,
}

/// The longest name in a partition key, in bytes: DynamoDB takes 2,048, and a caller's key has two more.
const MAX_KEY: usize = 2_046;

/// The length of an issued id.
const ISSUED: usize = 36;

impl TaskFilter {
    /// Whether the filter has no field.
    pub fn is_empty(&self) -> bool {
        *self == TaskFilter::default()
    }

    /// The state that the tasks must have.
    pub(super) fn state(&self) -> Option<State> {
        let failed = self.error.is_some().then_some(State::Failed);
        self.state.or(failed)
    }

    /// The id that is the whole of `id_prefix`, if the prefix has the form of an issued id.
    pub(super) fn whole_id(&self) -> Option<TaskId> {
        let prefix = self.id_prefix.as_deref()?;
        TaskId::parse(prefix).filter(|_| is_issued(prefix))
    }

    fn has_id(&self, id: &str) -> bool {
        let fits = |prefix: &str| {
            // Only issued ids are all in the one partition.
            let in_one = shard_of_prefix(prefix).is_some();
            id.starts_with(prefix) && (!in_one || is_issued(id))
        };
        self.id_prefix.as_deref().is_none_or(fits)
    }

    /// Whether `viewer` may see a task, and the task fits the filter.
    pub(super) fn fits(&self, record: &TaskRecord, viewer: &Viewer) -> bool {
        fn is<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let begins = |prefix: Option<&str>, text: Option<&str>| {
            prefix.is_none_or(|prefix| text.is_some_and(|text| text.starts_with(prefix)))
        };
        let job = record.job.as_deref();
        let kind = record.error.as_ref().map(|error| error.kind.as_str());
        is(self.state().as_ref(), Some(&record.state))
            && is(self.job.as_deref(), job)
            && begins(self.job_prefix.as_deref(), job)
            && is(self.caller.as_deref(), record.caller.as_deref())
            && is(self.schedule.as_deref(), record.schedule.as_deref())
            && self
                .created_after
                .is_none_or(|time| record.created_at >= time)
            && self
                .created_before
                .is_none_or(|time| record.created_at < time)
            && is(self.error.as_deref(), kind)
            && self.has_id(record.id.as_str())
            && viewer.may_see(record.caller.as_deref())
    }
}

/// Where the entries of a list are: the partitions of one index, and the range of the entries' keys.
pub(super) struct Source<'f> {
    filter: &'f TaskFilter,
    index: &'static str,
    /// The name of the index's partition key.
    attribute: &'static str,
    partitions: Vec<AttributeValue>,
    /// The least key.
    low: Option<String>,
    /// The key above all keys.
    high: Option<String>,
    /// Whether the records decide which entries fit.
    pub has_unfit: bool,
}

impl<'f> Source<'f> {
    /// The source of what `viewer` may see; `None` if no task can fit.
    pub fn of(viewer: &Viewer, query: &'f ListQuery) -> Option<Source<'f>> {
        let filter = &query.filter;
        let caller = match (viewer.only(), filter.caller.as_deref()) {
            (Some(own), Some(wanted)) if own != wanted => return None,
            (own, wanted) => own.or(wanted),
        };
        // No row has a longer key, and DynamoDB would refuse the query.
        let is_key = |name: Option<&str>| name.is_none_or(|name| name.len() <= MAX_KEY);
        if !is_key(caller) || !is_key(filter.schedule.as_deref()) {
            return None;
        }
        let key = |time: u64| format!("{:013}", time.min(MAX_TIME));
        let (low, high) = (
            filter.created_after.map(key),
            filter.created_before.map(key),
        );
        if let (Some(low), Some(high)) = (&low, &high)
            && low >= high
        {
            return None;
        }
        let (index, attribute, partitions) = partitions(filter, caller);
        let state = filter.state();
        let has_state = state.is_some() || !query.states.is_empty();
        let has_unfit = filter.error.is_some()
            || (has_state && index != BY_STATE)
            || (caller.is_some() && index != BY_CALLER);
        Some(Source {
            filter,
            index,
            attribute,
            partitions,
            low,
            high,
            has_unfit,
        })
    }

    /// The keys of the partitions.
    pub fn partitions(&self) -> impl Iterator<Item = &AttributeValue> {
        self.partitions.iter()
    }

    /// Whether the index itself leaves entries out.
    pub fn is_searched(&self) -> bool {
        let filter = self.filter;
        filter.job.is_some() || filter.job_prefix.is_some() || filter.id_prefix.is_some()
    }

    /// Whether the range has keys behind `after`.
    pub fn reaches(&self, after: Option<&TaskPosition>) -> bool {
        let ends = after.zip(self.low.as_ref());
        ends.is_none_or(|(TaskPosition(after), low)| after > low)
    }

    /// The query of one partition behind `after`: newest first, at most `limit` entries, or one more. An entry
    /// that is not before `after` has to be left out of the answer.
    pub fn query(
        &self,
        query: QueryFluentBuilder,
        partition: &AttributeValue,
        after: Option<&TaskPosition>,
        limit: i32,
    ) -> QueryFluentBuilder {
        let mut query = query
            .index_name(self.index)
            .scan_index_forward(false)
            .expression_attribute_names("#shard", self.attribute)
            .expression_attribute_values(":shard", partition.clone());
        let ends = [after.map(|TaskPosition(key)| key), self.high.as_ref()];
        let high = ends.into_iter().flatten().min();
        // A key condition is one comparison: with both ends the upper end is included.
        let (range, more) = match (&self.low, high) {
            (None, None) => ("", 0),
            (Some(_), None) => (" AND #key >= :low", 0),
            (None, Some(_)) => (" AND #key < :high", 0),
            (Some(_), Some(_)) => (" AND #key BETWEEN :low AND :high", 1),
        };
        if !range.is_empty() {
            query = query.expression_attribute_names("#key", LIST_KEY);
        }
        if let Some(low) = &self.low {
            query = query.expression_attribute_values(":low", text(low));
        }
        if let Some(high) = high {
            query = query.expression_attribute_values(":high", text(high));
        }
        let condition = format!("#shard = :shard{range}");
        let query = query.key_condition_expression(condition);
        self.searched(query.limit(limit.saturating_add(more)))
    }

    /// Adds the condition by which the index itself leaves entries out.
    fn searched(&self, mut query: QueryFluentBuilder) -> QueryFluentBuilder {
        let filter = self.filter;
        let mut conditions = Vec::new();
        for (condition, value, wanted) in [
            ("#job = :job", ":job", &filter.job),
            ("begins_with(#job, :jobs)", ":jobs", &filter.job_prefix),
            ("begins_with(#id, :ids)", ":ids", &filter.id_prefix),
        ] {
            if let Some(wanted) = wanted {
                conditions.push(condition);
                query = query.expression_attribute_values(value, text(wanted));
            }
        }
        if filter.job.is_some() || filter.job_prefix.is_some() {
            query = query.expression_attribute_names("#job", JOB);
        }
        if filter.id_prefix.is_some() {
            query = query.expression_attribute_names("#id", ID);
        }
        match conditions.is_empty() {
            true => query,
            false => query.filter_expression(conditions.join(" AND ")),
        }
    }
}

/// The index of a filter for tasks of `caller`, the name of the index's partition key, and the partitions. A schedule
/// has one partition.
fn partitions(
    filter: &TaskFilter,
    caller: Option<&str>,
) -> (&'static str, &'static str, Vec<AttributeValue>) {
    let shards = match filter.id_prefix.as_deref().and_then(shard_of_prefix) {
        Some(shard) => shard..shard + 1,
        None => 0..SHARDS,
    };
    match (&filter.schedule, caller, filter.state()) {
        (Some(schedule), ..) => (BY_SCHEDULE, SCHEDULE, vec![text(schedule)]),
        (None, Some(caller), _) => {
            let all = shards.map(|shard| text(caller_shard(caller, shard)));
            (BY_CALLER, CALLER_SHARD, all.collect())
        }
        (None, None, Some(state)) if has_list(state) => {
            let all = shards.map(|shard| text(format!("{state}#{shard}")));
            (BY_STATE, STATE_SHARD, all.collect())
        }
        (None, None, _) => (BY_TIME, LIST_SHARD, shards.map(number).collect()),
    }
}

/// Whether the id of an issued task can begin with a text, or be the text.
fn begins_issued_id(start: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    start.len() <= ISSUED && start.bytes().enumerate().all(fits)
}

/// Whether an id has the form of issued ids.
fn is_issued(id: &str) -> bool {
    id.len() == ISSUED && begins_issued_id(id)
}

/// The partition of all issued ids that begin with a text; `None` if such ids are in several partitions.
fn shard_of_prefix(prefix: &str) -> Option<u8> {
    let byte = prefix.get(..2).filter(|_| begins_issued_id(prefix))?;
    let byte = u8::from_str_radix(byte, 16).ok()?;
    Some(byte % SHARDS)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::list::shard;
    use super::*;

    #[test]
    fn the_partition_of_an_issued_id_is_known_from_its_beginning() {
        for _ in 0..100 {
            let id = TaskId::from(Uuid::new_v4());
            for end in 2..=ISSUED {
                let found = shard_of_prefix(&id.as_str()[..end]);
                assert_eq!(found, Some(shard(&id)), "{id} {end}");
            }
        }
        for other in ["", "a", "AB", "zz", "ä", "0ä", "abc-", "00000000-0000-x"] {
            assert_eq!(shard_of_prefix(other), None, "{other}");
        }
    }
}
