//! Lists of tasks, newest first, by three indexes that cost a task one write, or two for a task with a
//! caller.
//!
//! The index `by_time` holds every task, spread over partitions. Its attributes are written once and
//! never change, so later states of a task cost this index no write. The index `by_state` holds only
//! tasks in a rare state that operators look for (failed, cancelled, expired, retrying, scheduled); a
//! task that completes at its first attempt is never in this index. Pending, running and completed
//! tasks are found by time, among a bounded number of the newest tasks.
//!
//! The index `by_schedule` holds the tasks of schedules, under one partition for each schedule: a schedule
//! has at most one time a second.
//!
//! The index `by_caller` holds the tasks that have a caller. A viewer who sees only own tasks gets
//! lists from this index alone: neither a list nor its cursor depends on other callers' tasks.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;

use super::names::*;
use super::row::RecordRow;
use super::{RECORD, TaskStore, key};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, ID, Row, number, text};
use crate::dynamodb::{BATCH_KEYS, StoreError, batch_get, call_error};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::viewer::Viewer;

/// Partitions of each index. One partition takes 1,000 writes a second (AWS' "Service, account, and
/// table quotas"); eight partitions take 8,000 tasks a second.
pub(super) const SHARDS: u8 = 8;
/// The most entries that one round reads from one partition of an index.
const ROUND: i32 = 100;
/// The most rounds of one call. A call that finds too few tasks in these rounds ends early, with a
/// cursor.
const ROUNDS: usize = 5;

const BY_TIME: &str = "by_time";
pub(super) const BY_STATE: &str = "by_state";
const BY_CALLER: &str = "by_caller";
const BY_SCHEDULE: &str = "by_schedule";

/// A task's position in a list: its time, and its id among tasks of the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskPosition(pub String);

impl TaskPosition {
    /// Parses a position; `None` if the text does not have the format of a list's key.
    pub fn parse(text: &str) -> Option<TaskPosition> {
        let (time, id) = text.split_once('-')?;
        let is_time = time.len() == 13 && time.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = TaskId::parse(id).is_some();
        (is_time && is_id).then(|| TaskPosition(text.to_owned()))
    }
}

/// The filters and the page of a list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery<'a> {
    /// Only tasks in this state.
    pub state: Option<State>,
    /// Only tasks of this job.
    pub job: Option<&'a str>,
    /// Only tasks of the schedule with this name.
    pub schedule: Option<&'a str>,
    /// The most tasks in the page.
    pub limit: usize,
    /// The position of the last task of the previous page.
    pub after: Option<TaskPosition>,
}

/// Whether the query skips entries of its index.
fn is_filtered(viewer: &Viewer, query: &ListQuery<'_>) -> bool {
    let by_state = query.state.is_some_and(|state| !has_list(state));
    let is_own = viewer.only().is_some();
    let by_other_list = is_own || query.schedule.is_some();
    query.job.is_some() || by_state || (by_other_list && query.state.is_some())
}

/// The entries of one round over all partitions.
struct Round {
    /// The tasks, newest first.
    ids: Vec<(TaskPosition, TaskId)>,
    /// The position up to which all partitions were read; `None` if they were read to their end.
    read_to: Option<TaskPosition>,
}

impl TaskStore {
    /// Tasks, newest first, and the position of the next page if there may be more tasks. The indexes
    /// are eventually consistent; the filters are checked against the records.
    pub async fn list(
        &self,
        viewer: &Viewer,
        query: &ListQuery<'_>,
    ) -> Result<(Vec<TaskRecord>, Option<TaskPosition>), StoreError> {
        let filtered = is_filtered(viewer, query);
        let mut found = Vec::new();
        let mut after = query.after.clone();
        for _ in 0..ROUNDS {
            let round = self.round(viewer, query, after.as_ref()).await?;
            let mut rest = &round.ids[..];
            while !rest.is_empty() {
                // Without a filter, read only as many records as the page needs: each costs read units.
                let wanted = match filtered {
                    true => BATCH_KEYS,
                    false => (query.limit - found.len()).min(BATCH_KEYS),
                };
                let (batch, later) = rest.split_at(wanted.clamp(1, rest.len()));
                rest = later;
                let mut records = self.batch(batch).await?;
                for (position, id) in batch {
                    let record = records.remove(id);
                    let Some(record) = record.filter(|record| fits(record, viewer, query)) else {
                        continue;
                    };
                    found.push(record);
                    if found.len() == query.limit {
                        return Ok((found, Some(position.clone())));
                    }
                }
            }
            after = round.read_to;
            if after.is_none() {
                break;
            }
        }
        Ok((found, after))
    }

    /// The next entries of all partitions, merged.
    async fn round(
        &self,
        viewer: &Viewer,
        query: &ListQuery<'_>,
        after: Option<&TaskPosition>,
    ) -> Result<Round, StoreError> {
        let shards = if query.schedule.is_some() { 1 } else { SHARDS };
        let shards = (0..shards).map(|shard| self.entries(viewer, query, shard, after));
        // This polls only the query that was woken; a join would poll all queries each time.
        let shards: FuturesUnordered<_> = shards.collect();
        let mut ids = Vec::new();
        let mut read_to: Option<TaskPosition> = None;
        for (entries, end) in shards.try_collect::<Vec<_>>().await? {
            ids.extend(entries);
            read_to = read_to.max(end);
        }
        // Beyond the end of one partition's entries, unread entries of that partition may come first.
        if let Some(end) = &read_to {
            ids.retain(|(position, _)| position >= end);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Round { ids, read_to })
    }

    /// The next entries of one partition, and the position of the last entry if there are more.
    async fn entries(
        &self,
        viewer: &Viewer,
        query: &ListQuery<'_>,
        shard: u8,
        after: Option<&TaskPosition>,
    ) -> Result<(Vec<(TaskPosition, TaskId)>, Option<TaskPosition>), StoreError> {
        let (index, attribute, partition) = partition(viewer, query, shard);
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .scan_index_forward(false)
            .limit(entry_limit(viewer, query))
            .expression_attribute_names("#shard", attribute)
            .expression_attribute_values(":shard", partition);
        let mut condition = "#shard = :shard".to_owned();
        if let Some(TaskPosition(after)) = after {
            condition.push_str(" AND #key < :after");
            request = request
                .expression_attribute_names("#key", LIST_KEY)
                .expression_attribute_values(":after", text(after));
        }
        if let Some(job) = query.job {
            request = request
                .filter_expression("#job = :job")
                .expression_attribute_names("#job", JOB)
                .expression_attribute_values(":job", text(job));
        }
        let request = request.key_condition_expression(condition);
        let page = request.send().await.map_err(call_error)?;
        let end = page.last_evaluated_key().map(position).transpose()?;
        let entries: Result<Vec<_>, _> = page.items().iter().map(entry).collect();
        Ok((entries?, end))
    }

    /// The existing records of these tasks.
    async fn batch(
        &self,
        ids: &[(TaskPosition, TaskId)],
    ) -> Result<HashMap<TaskId, TaskRecord>, StoreError> {
        let keys = ids.iter().map(|(_, id)| key(id, RECORD)).collect();
        let mut records = HashMap::with_capacity(ids.len());
        for row in batch_get(&self.client, &self.table, keys, false).await? {
            let id = id_of(&row)?;
            let row = RecordRow::read(row)?;
            if !row.is_expired(now_ms()) {
                let record = row.into_found(&id)?.record;
                records.insert(id, record);
            }
        }
        Ok(records)
    }
}

/// The index of a query, the name of the index's partition key, and the key of the partition `shard`. A
/// schedule has one partition.
fn partition(
    viewer: &Viewer,
    query: &ListQuery<'_>,
    shard: u8,
) -> (&'static str, &'static str, AttributeValue) {
    if let Some(schedule) = query.schedule {
        return (BY_SCHEDULE, SCHEDULE, text(schedule));
    }
    match (viewer.only(), query.state) {
        (Some(caller), _) => (BY_CALLER, CALLER_SHARD, text(caller_shard(caller, shard))),
        (None, Some(state)) if has_list(state) => {
            (BY_STATE, STATE_SHARD, state_partition(state, shard))
        }
        (None, _) => (BY_TIME, LIST_SHARD, number(shard)),
    }
}

/// The most entries to read from one partition: without a filter, the page's limit is enough.
fn entry_limit(viewer: &Viewer, query: &ListQuery<'_>) -> i32 {
    match is_filtered(viewer, query) {
        true => ROUND,
        false => i32::try_from(query.limit).unwrap_or(ROUND).clamp(1, ROUND),
    }
}

/// The partition of a task in the index of all tasks. The first byte of an id's UUID is random, or a byte
/// of a hash.
pub(super) fn shard(id: &TaskId) -> u8 {
    id.uuid().as_bytes()[0] % SHARDS
}

/// A partition of a caller's tasks in the index by caller.
pub(super) fn caller_shard(caller: &str, shard: u8) -> String {
    format!("{shard}#{caller}")
}

/// A task's key in the lists.
pub(super) fn list_key(id: &TaskId, created_at: u64) -> AttributeValue {
    text(format!("{created_at:013}-{id}"))
}

/// The partition of a task in the index by state; `None` if the index leaves the state out.
pub(super) fn state_shard(id: &TaskId, state: State) -> Option<String> {
    has_list(state).then(|| format!("{state}#{}", shard(id)))
}

/// A partition of the index by state.
pub(super) fn state_partition(state: State, shard: u8) -> AttributeValue {
    text(format!("{state}#{shard}"))
}

pub(super) fn has_list(state: State) -> bool {
    use State::*;
    matches!(state, Scheduled | Retrying | Failed | Cancelled | Expired)
}

fn fits(record: &TaskRecord, viewer: &Viewer, query: &ListQuery<'_>) -> bool {
    query.state.is_none_or(|state| record.state == state)
        && query
            .job
            .is_none_or(|job| record.job.as_deref() == Some(job))
        && query
            .schedule
            .is_none_or(|schedule| record.schedule.as_deref() == Some(schedule))
        && viewer.may_see(record.caller.as_deref())
}

fn entry(row: &Row) -> Result<(TaskPosition, TaskId), StoreError> {
    Ok((position(row)?, id_of(row)?))
}

fn position(row: &Row) -> Result<TaskPosition, StoreError> {
    row::get_text(row, LIST_KEY).map(TaskPosition)
}

fn id_of(row: &Row) -> Result<TaskId, StoreError> {
    let id = row::get_text(row, ID)?;
    TaskId::parse(&id).ok_or_else(|| StoreError::Corrupt(format!("an id {id:?}")))
}
