//! The rows of numbers, in the table of tasks: one for each minute and shard, and one of totals.
//!
//! The partition of a minute's row is the hour and the shard, so an hour is one query for each shard. The sort key
//! is the negative number of the minute: a task, whatever id a client has chosen, has no negative part.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Counts, MAX_JOBS, row};
use crate::clock::now_ms;
use crate::dynamodb::row::{EXPIRES_AT, ID, Row, find_number, get_number, number, text};
use crate::dynamodb::{StoreError, call_error, condition_held, refused_by};

/// The rows of one minute. A row takes 1,000 writes of 1 KB a second (AWS' "Service, account, and table
/// quotas"), and a batch of ten tasks is one write, of 1 KB if the row has few jobs.
const SHARDS: u8 = 4;
/// How long the row of a minute is kept, in minutes.
const KEPT: u64 = 2 * 24 * 60;
/// The minutes after which a minute is finished: a write may take seconds, and clocks differ.
const LATE: u64 = 2;
/// The most minutes that one call adds to the totals, or reads beside the totals.
const MOST: u64 = 60;
/// The minutes after which the totals are written though nothing was counted, so that readers of the totals
/// read few minutes.
const IDLE: u64 = 15;
/// The most queries at a time.
const AT_ONCE: usize = 16;
/// Tries of a write that DynamoDB refuses for lack of throughput.
const TRIES: u32 = 3;
/// The longest time of the tries of one write. The worker's batch waits for the write.
const PATIENCE: Duration = Duration::from_secs(2);

/// The errors of calls that DynamoDB has not done for lack of throughput.
const THROTTLED: [&str; 3] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
];

const TOTALS: &str = "counts#totals";
const PART: &str = "part";
/// The first minute that is not in the totals.
const FOLDED_TO: &str = "folded_to";

/// The rows of numbers.
#[derive(Debug, Clone)]
pub struct CountStore {
    client: Client,
    table: String,
}

/// The minute of a time in milliseconds since the Unix epoch, since the same epoch.
pub fn minute_of(ms: u64) -> u64 {
    ms / 60_000
}

impl CountStore {
    /// The numbers in the table of tasks.
    pub fn new(client: Client, table: String) -> CountStore {
        CountStore { client, table }
    }

    #[cfg(test)]
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Adds numbers to the present minute: one call, and a second one if the row has too many jobs. A call that
    /// may have been done is not repeated, since `ADD` would count twice.
    ///
    /// # Errors
    /// When DynamoDB did not answer in time, or refused the call: the numbers are lost, or, after a lost
    /// answer, counted.
    pub async fn add(&self, counts: Counts) -> Result<(), StoreError> {
        if counts.is_empty() {
            return Ok(());
        }
        let added = tokio::time::timeout(PATIENCE, self.add_to_any(counts));
        let late = |late| Err(StoreError::Call(Box::new(late)));
        added.await.unwrap_or_else(late)
    }

    /// Adds to the row of a random shard.
    async fn add_to_any(&self, counts: Counts) -> Result<(), StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let shard = fastrand::u8(..SHARDS);
            match self.add_to(shard, &counts).await {
                Err(StoreError::Call(error)) if tries < TRIES && was_throttled(&*error) => {}
                added => return added,
            }
        }
    }

    async fn add_to(&self, shard: u8, counts: &Counts) -> Result<(), StoreError> {
        let minute = minute_of(now_ms());
        let bounded = bounded(self.update(minute, shard, counts), counts);
        let Err(error) = once(bounded).await else {
            return Ok(());
        };
        // The row has too many jobs.
        let existing = refused_by(error)?;
        let within = counts.clone().within(&row::jobs(&existing), 0);
        let update = self.update(minute, shard, &within);
        once(update).await.map_err(call_error)
    }

    fn update(&self, minute: u64, shard: u8, counts: &Counts) -> UpdateItemFluentBuilder {
        let expires = (minute + KEPT) * 60;
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(minute, shard)))
            .expression_attribute_names("#jobs", row::JOBS)
            .expression_attribute_values(":jobs", row::names(counts))
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":expires", number(expires));
        let mut expression = "SET #expires = :expires ADD #jobs :jobs".to_owned();
        for (at, (name, count)) in row::fields(counts).into_iter().enumerate() {
            expression.push_str(&format!(", #{at} :{at}"));
            update = update
                .expression_attribute_names(format!("#{at}"), name)
                .expression_attribute_values(format!(":{at}"), number(count));
        }
        update.update_expression(expression)
    }

    /// The numbers of the minutes from `from` up to, but without, `to`. Minutes without numbers are left out.
    /// At most one query for each shard and hour, if the rows of an hour have less than 1 MB.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn minutes(
        &self,
        from: u64,
        to: u64,
        is_consistent: bool,
    ) -> Result<BTreeMap<u64, Counts>, StoreError> {
        let hours = match from < to {
            true => from / 60..to.div_ceil(60),
            false => 0..0,
        };
        let parts = hours.flat_map(|hour| (0..SHARDS).map(move |shard| (hour, shard)));
        let rows = parts.map(|part| self.hour(part, from..to, is_consistent));
        let rows: Vec<Vec<Row>> = stream::iter(rows)
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let mut minutes = BTreeMap::<u64, Counts>::new();
        for row in rows.iter().flatten() {
            let part: i64 = get_number(row, PART)?;
            let counts = minutes.entry(part.unsigned_abs()).or_default();
            counts.merge(&row::read(row));
        }
        Ok(minutes)
    }

    /// The rows of a shard's hour.
    async fn hour(
        &self,
        (hour, shard): (u64, u8),
        minutes: std::ops::Range<u64>,
        is_consistent: bool,
    ) -> Result<Vec<Row>, StoreError> {
        let first = minutes.start.max(hour * 60);
        let last = minutes.end.min((hour + 1) * 60).saturating_sub(1);
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(is_consistent)
            .key_condition_expression("#id = :id AND #part BETWEEN :last AND :first")
            .expression_attribute_names("#id", ID)
            .expression_attribute_names("#part", PART)
            .expression_attribute_values(":id", text(partition(hour, shard)))
            .expression_attribute_values(":first", part(first))
            .expression_attribute_values(":last", part(last));
        let rows = query.into_paginator().items().send();
        rows.try_collect().await.map_err(call_error)
    }

    /// The totals of all time: numbers that only grow. Reads the row of totals and the minutes since, at most
    /// an hour of them; a longer backlog, after an outage of the ticker, appears as the ticker catches up.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn totals(&self) -> Result<Counts, StoreError> {
        let now = minute_of(now_ms());
        let (mut totals, from) = self.folded(now).await?;
        // Consistently, since a number that falls looks like a restart to whoever reads the totals.
        let to = (now + LATE).min(from + MOST);
        for counts in self.minutes(from, to, true).await?.values() {
            totals.merge(counts);
        }
        Ok(totals)
    }

    /// Adds the finished minutes to the totals: at most an hour, and the next call goes on. May be repeated,
    /// run twice at a time and end at any point: the write names the minute up to which the totals were added
    /// up before.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn fold(&self) -> Result<(), StoreError> {
        let now = minute_of(now_ms());
        let (totals, from) = self.folded(now).await?;
        let to = now.saturating_sub(LATE).min(from + MOST);
        if to <= from {
            return Ok(());
        }
        let mut added = Counts::default();
        for counts in self.minutes(from, to, true).await?.values() {
            added.merge(counts);
        }
        if added.is_empty() && to - from < IDLE {
            return Ok(());
        }
        self.put_totals(totals, added, (from, to)).await
    }

    async fn put_totals(
        &self,
        totals: Counts,
        added: Counts,
        (from, to): (u64, u64),
    ) -> Result<(), StoreError> {
        let known: BTreeSet<String> = totals.jobs.keys().cloned().collect();
        let room = (MAX_JOBS - 1).saturating_sub(known.len());
        let mut sum = totals;
        sum.merge(&added.within(&known, room));
        let fields = row::fields(&sum).into_iter();
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(
                fields.map(|(name, count)| (name, number(count))).collect(),
            ))
            .item(ID, text(TOTALS))
            .item(PART, part(1))
            .item(FOLDED_TO, number(to))
            .condition_expression("attribute_not_exists(#folded) OR #folded = :from")
            .expression_attribute_names("#folded", FOLDED_TO)
            .expression_attribute_values(":from", number(from));
        if !sum.is_empty() {
            put = put.item(row::JOBS, row::names(&sum));
        }
        // A refusal: another ticker, or an earlier try of this call, has added these minutes.
        condition_held(put.send().await).map(drop)
    }

    /// The row of totals, and the first minute that is not in the row.
    async fn folded(&self, now: u64) -> Result<(Counts, u64), StoreError> {
        let key = Row::from([(ID.to_owned(), text(TOTALS)), (PART.to_owned(), part(1))]);
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key));
        let row = get.send().await.map_err(call_error)?.item;
        let row = row.unwrap_or_default();
        let folded = find_number(&row, FOLDED_TO)?;
        Ok((
            row::read(&row),
            folded.unwrap_or(now.saturating_sub(MOST / 2)),
        ))
    }
}

/// The partition of an hour's shard.
fn partition(hour: u64, shard: u8) -> String {
    format!("counts#{hour}#{shard}")
}

/// The sort key of a minute.
fn part(minute: u64) -> AttributeValue {
    number(format!("-{minute}"))
}

fn key(minute: u64, shard: u8) -> Row {
    let id = text(partition(minute / 60, shard));
    Row::from([(ID.to_owned(), id), (PART.to_owned(), part(minute))])
}

/// The condition that the row keeps within [`MAX_JOBS`].
fn bounded(update: UpdateItemFluentBuilder, counts: &Counts) -> UpdateItemFluentBuilder {
    let room = (MAX_JOBS - 1).saturating_sub(counts.jobs.len());
    let mut update = update
        .expression_attribute_values(":room", number(room))
        .return_values_on_condition_check_failure(AllOld);
    let mut known = Vec::new();
    for (at, job) in counts.jobs.keys().enumerate() {
        known.push(format!("contains(#jobs, :job{at})"));
        update = update.expression_attribute_values(format!(":job{at}"), text(job));
    }
    let known = known.join(" AND ");
    update.condition_expression(format!(
        "attribute_not_exists(#jobs) OR size(#jobs) <= :room OR ({known})"
    ))
}

type Failed = SdkError<UpdateItemError, HttpResponse>;

/// Whether DynamoDB has not done a call for lack of throughput.
fn was_throttled(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<Failed>();
    let code = error.and_then(ProvideErrorMetadata::code);
    code.is_some_and(|code| THROTTLED.contains(&code))
}

/// Sends an update without the SDK's own retries, which do not tell whether an earlier try was done.
async fn once(update: UpdateItemFluentBuilder) -> Result<(), Failed> {
    let once = Builder::new().retry_config(RetryConfig::disabled());
    let sent = update.customize().config_override(once).send().await;
    sent.map(drop)
}
