//! Lists of tasks, newest first, by indexes that cost a task one write, or two for a task with a caller.
//! `filter` says which index a list is read from.
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

use super::filter::{Source, TaskFilter};
use super::names::*;
use super::row::RecordRow;
use super::{RECORD, TaskStore, key};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, ID, Row, text};
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
/// As [`ROUND`], if the index itself leaves entries out. An entry has about 150 bytes, so 1,000 entries are
/// about 20 read units.
const SEARCHED: i32 = 1_000;
/// The most rounds of one call, and the most records that it reads. A call that finds too few tasks within
/// these bounds ends early, with a cursor.
const ROUNDS: usize = 5;
const RECORDS: usize = 4_000;

pub(super) const BY_TIME: &str = "by_time";
pub(super) const BY_STATE: &str = "by_state";
pub(super) const BY_CALLER: &str = "by_caller";
pub(super) const BY_SCHEDULE: &str = "by_schedule";

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

/// The filter and the page of a list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Which tasks are listed.
    pub filter: TaskFilter,
    /// Only tasks in one of these states; empty for all states.
    pub states: &'static [State],
    /// The most tasks in the page.
    pub limit: usize,
    /// The position of the last task of the previous page.
    pub after: Option<TaskPosition>,
}

impl ListQuery {
    /// Whether a record is one of the list's tasks.
    fn fits(&self, record: &TaskRecord, viewer: &Viewer) -> bool {
        let has_state = self.states.is_empty() || self.states.contains(&record.state);
        has_state && self.filter.fits(record, viewer)
    }
}

/// The entries of one round over all partitions.
struct Round {
    /// The tasks, newest first.
    ids: Vec<(TaskPosition, TaskId)>,
    /// The position up to which all partitions were read; `None` if they were read to their end.
    read_to: Option<TaskPosition>,
}

/// A page that is being filled.
struct Page {
    found: Vec<TaskRecord>,
    /// How many more records this call may read.
    records_left: usize,
}

impl TaskStore {
    /// Tasks, newest first, and the position of the next page if there may be more tasks. The indexes
    /// are eventually consistent; the filters are checked against the records.
    pub async fn list(
        &self,
        viewer: &Viewer,
        query: &ListQuery,
    ) -> Result<(Vec<TaskRecord>, Option<TaskPosition>), StoreError> {
        if let Some(id) = query.filter.whole_id() {
            return self.list_one(viewer, query, id).await;
        }
        let Some(source) = Source::of(viewer, query) else {
            return Ok((Vec::new(), None));
        };
        let mut page = Page {
            found: Vec::new(),
            records_left: RECORDS,
        };
        let mut after = query.after.clone();
        for _ in 0..ROUNDS {
            let round = self.round(&source, query.limit, after.as_ref()).await?;
            let filled = self.fill(&mut page, viewer, query, &source, &round.ids);
            if let Some(end) = filled.await? {
                return Ok((page.found, Some(end)));
            }
            after = round.read_to;
            if after.is_none() || page.records_left == 0 {
                break;
            }
        }
        Ok((page.found, after))
    }

    /// The list of at most one task.
    async fn list_one(
        &self,
        viewer: &Viewer,
        query: &ListQuery,
        id: TaskId,
    ) -> Result<(Vec<TaskRecord>, Option<TaskPosition>), StoreError> {
        if query.after.is_some() {
            return Ok((Vec::new(), None));
        }
        let mut records = self.batch(std::slice::from_ref(&id), false).await?;
        let record = records.remove(&id);
        let record = record.filter(|record| query.fits(record, viewer));
        Ok((record.into_iter().collect(), None))
    }

    /// Adds the tasks of a round to a page. Returns the position of the last task that was looked at, if the
    /// page is full or no more records may be read.
    async fn fill(
        &self,
        page: &mut Page,
        viewer: &Viewer,
        query: &ListQuery,
        source: &Source<'_>,
        entries: &[(TaskPosition, TaskId)],
    ) -> Result<Option<TaskPosition>, StoreError> {
        let mut rest = entries;
        let mut last = None;
        while !rest.is_empty() {
            // Read only as many records as the page needs, if all of them fit: each costs read units.
            let wanted = match source.has_unfit {
                true => BATCH_KEYS,
                false => (query.limit - page.found.len()).min(BATCH_KEYS),
            };
            let wanted = wanted.min(page.records_left);
            if wanted == 0 {
                return Ok(last);
            }
            let (batch, later) = rest.split_at(wanted.clamp(1, rest.len()));
            (rest, page.records_left) = (later, page.records_left - batch.len());
            let ids: Vec<TaskId> = batch.iter().map(|(_, id)| id.clone()).collect();
            let mut records = self.batch(&ids, false).await?;
            for (position, id) in batch {
                last = Some(position.clone());
                let record = records.remove(id);
                let record = record.filter(|record| query.fits(record, viewer));
                page.found.extend(record);
                if page.found.len() == query.limit {
                    return Ok(last);
                }
            }
        }
        Ok(None)
    }

    /// The next entries of all partitions, merged.
    async fn round(
        &self,
        source: &Source<'_>,
        limit: usize,
        after: Option<&TaskPosition>,
    ) -> Result<Round, StoreError> {
        let partitions = source.partitions();
        let partitions = partitions.map(|one| self.entries(source, one, limit, after));
        // This polls only the query that was woken; a join would poll all queries each time.
        let partitions: FuturesUnordered<_> = partitions.collect();
        let mut ids = Vec::new();
        let mut read_to: Option<TaskPosition> = None;
        for (entries, end) in partitions.try_collect::<Vec<_>>().await? {
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
        source: &Source<'_>,
        partition: &AttributeValue,
        limit: usize,
        after: Option<&TaskPosition>,
    ) -> Result<(Vec<(TaskPosition, TaskId)>, Option<TaskPosition>), StoreError> {
        if !source.reaches(after) {
            return Ok((Vec::new(), None));
        }
        let query = self.client.query().table_name(&self.table);
        let query = source.query(query, partition, after, entry_limit(source, limit));
        let page = query.send().await.map_err(call_error)?;
        let end = page.last_evaluated_key().map(position).transpose()?;
        let entries = page.items().iter().map(entry);
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.retain(|(position, _)| after.is_none_or(|after| position < after));
        Ok((entries, end))
    }

    /// The existing records of these tasks, read consistently. Results in chunks are left out.
    pub async fn records(&self, ids: &[TaskId]) -> Result<HashMap<TaskId, TaskRecord>, StoreError> {
        self.batch(ids, true).await
    }

    async fn batch(
        &self,
        ids: &[TaskId],
        consistent: bool,
    ) -> Result<HashMap<TaskId, TaskRecord>, StoreError> {
        let keys = ids.iter().map(|id| key(id, RECORD)).collect();
        let mut records = HashMap::with_capacity(ids.len());
        for row in batch_get(&self.client, &self.table, keys, consistent).await? {
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

/// The most entries to read from one partition: if every entry fits, the page's limit is enough.
fn entry_limit(source: &Source<'_>, limit: usize) -> i32 {
    match (source.is_searched(), source.has_unfit) {
        (true, _) => SEARCHED,
        (false, true) => ROUND,
        (false, false) => i32::try_from(limit).unwrap_or(ROUND).clamp(1, ROUND),
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

/// Whether the index by state has the tasks in a state.
pub(super) fn has_list(state: State) -> bool {
    use State::*;
    matches!(state, Scheduled | Retrying | Failed | Cancelled | Expired)
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
