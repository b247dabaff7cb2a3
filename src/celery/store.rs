//! Celery's table of results: the items that clients read, and the counters of chords.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::canvas::Chord;
use super::headers::MAX_ID;
use super::result::{Group, ItemKind, Keys, Stored, group_result, read, read_group};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, ID, Row, number, text};
use crate::dynamodb::{
    ConditionalPut, StoreError, batch_get, call_error, condition_held, refused_by,
};
use crate::json::{Json, parse_str};
use crate::tasks::task::MAX_WAIT;

/// The JSON of a result or of a group, as bytes.
const RESULT: &str = "result";
/// Seconds since the Unix epoch.
const TIMESTAMP: &str = "timestamp";
/// The table's TTL attribute, in seconds since the Unix epoch.
const TTL: &str = "ttl";
/// The number of a chord's members that have ended.
const CHORD_COUNT: &str = "chord_count";

/// Attributes of this worker, which Celery ignores. The place of a write in the order of all writes of a
/// task's item.
const PLACE: &str = "place";
/// The place of the failure of a task that never runs: before every write of a task that runs.
pub const NEVER_RAN: u64 = 0;
/// The members of a chord that this worker has counted, as a set.
const COUNTED: &str = "counted";
/// The number of a chord's members; 0 if not noted.
const SIZE: &str = "size";
/// Set on the counter of a chord that is done: its body was sent, or has failed.
const DONE: &str = "done";
/// The signature of a chord's body as JSON, which the function of a member writes whose message the worker
/// does not read.
pub const CHORD_BODY: &str = "chord_body";
/// The namespace of the short names of members (a random UUID).
const MEMBERS: Uuid = Uuid::from_u128(0x6b1d_90f3_2c58_4e0a_a7f4_8e21_c05d_93b6);

/// How long SQS keeps a message at most, in seconds: a member of a chord may be counted again so late.
const RETENTION: u64 = 14 * 24 * 3600;

/// The largest JSON of a result in bytes. DynamoDB takes 400 KB for an item with its names and numbers.
pub const MAX_RESULT: usize = 399 * 1024;

/// The table of results.
#[derive(Debug, Clone)]
pub struct ResultStore {
    client: Client,
    table: String,
    keys: Keys,
    ttl: Duration,
}

/// A chord's counter after a member was counted, by this call or an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    /// The number of counts. Workers of Celery count a member again when its message is delivered again.
    pub count: u64,
    /// The number of the chord's members, if noted.
    pub size: Option<u64>,
    /// Whether the chord's group may have expired: the counter is older than results are kept.
    pub is_old: bool,
    /// The chord's body, if the function of a member has written it.
    pub body: Option<Json>,
    /// The short names of the members that this worker counted.
    counted: Vec<String>,
}

impl Counter {
    /// Whether this worker counted a member: the member has surely ended.
    pub fn has(&self, member: &str) -> bool {
        self.counted.contains(&short(member))
    }
}

impl ResultStore {
    /// The items in `table`, kept for `ttl`.
    pub fn new(client: Client, table: String, ttl: Duration) -> ResultStore {
        ResultStore {
            client,
            table,
            keys: Keys::new(""),
            ttl,
        }
    }

    /// The items of applications whose keys have this prefix (`global_keyprefix` in Celery).
    pub fn with_prefix(mut self, prefix: &str) -> ResultStore {
        self.keys = Keys::new(prefix);
        self
    }

    /// The name of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// What the item of a key is; `None` for a key that Celery does not make.
    pub fn kind_of(&self, key: &str) -> Option<ItemKind> {
        self.keys.kind_of(key)
    }

    /// The key of a task's result.
    pub fn key_of(&self, id: &str) -> String {
        self.keys.task(id)
    }

    /// How long a result is kept.
    pub fn time(&self) -> Duration {
        self.ttl
    }

    /// Stores a task's result, as [`ResultStore::put_bytes`] does.
    pub async fn put(&self, id: &str, place: u64, json: String) -> Result<(), StoreError> {
        let key = self.keys.task(checked(id)?);
        self.put_bytes(key, place, json.into_bytes()).await
    }

    /// Stores the bytes of a task's result, by [`ResultStore::put_of`].
    pub async fn put_bytes(
        &self,
        key: String,
        place: u64,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let put = self.put_of(key, place, bytes);
        put.send(&self.client).await.map(drop)
    }

    /// The put of the bytes of a task's result, unless a write of a later place is there. `place` orders the
    /// writes of one task: a slow worker must not overwrite the end with an earlier state. The write of a task
    /// that never ran ([`NEVER_RAN`]) replaces nothing that another worker stored.
    pub fn put_of(&self, key: String, place: u64, bytes: Vec<u8>) -> ConditionalPut {
        let mut row = self.item(key, bytes, self.expiry());
        row.insert(PLACE.to_owned(), number(place));
        let absent = if place == NEVER_RAN { ID } else { PLACE };
        let names = [("#place", PLACE), ("#absent", absent)];
        let values = [(":place", number(place))];
        ConditionalPut {
            table: self.table.clone(),
            row,
            condition: "attribute_not_exists(#absent) OR #place <= :place",
            names: names
                .map(|(name, of)| (name.to_owned(), of.to_owned()))
                .into(),
            values: values.map(|(name, of)| (name.to_owned(), of)).into(),
        }
    }

    /// Stores the group and the counter of a chord that begins, unless they are there. The counter last: a
    /// member counts only where the group is there.
    pub async fn begin_chord(&self, chord: &Chord) -> Result<(), StoreError> {
        let json = group_result(&chord.group, &chord.members);
        let key = self.keys.group(checked(&chord.group)?);
        self.put_group(key, json.into_bytes()).await?;
        self.put_counter(self.keys.chord(&chord.group)).await
    }

    /// Stores the bytes of a group, unless it is there.
    pub async fn put_group(&self, key: String, bytes: Vec<u8>) -> Result<(), StoreError> {
        let item = self.item(key, bytes, self.chord_expiry());
        self.put_new(item).await
    }

    /// Stores the counter of a chord that begins, unless it is there.
    pub async fn put_counter(&self, key: String) -> Result<(), StoreError> {
        let counter = Row::from([
            (ID.to_owned(), text(key)),
            (CHORD_COUNT.to_owned(), number(0)),
            (TIMESTAMP.to_owned(), number(now_ms() / 1000)),
            (TTL.to_owned(), number(self.chord_expiry())),
        ]);
        self.put_new(counter).await
    }

    async fn put_new(&self, item: Row) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", ID);
        condition_held(put.send().await).map(drop)
    }

    /// Counts a member of a chord, once: one update increments Celery's counter and notes the member. Workers
    /// of Celery may increment the same counter. `None` if the chord is done, or if there is no counter: a
    /// worker of Celery has joined the chord, or its client does without a counter. A count keeps the counter
    /// for as long as any task may wait.
    ///
    /// Every call gives the present count, so that any member whose effects are performed again finds a chord
    /// that is complete: the worker that counted last may have died before it sent the body.
    pub async fn count(&self, group: &str, member: &str) -> Result<Option<Counter>, StoreError> {
        let member = short(member);
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key(ID, text(self.keys.chord(checked(group)?)))
            .update_expression(
                "SET #count = #count + :one, #size = if_not_exists(#size, :none), #ttl = :ttl \
                 ADD #counted :members",
            )
            .condition_expression(
                "attribute_exists(#count) AND attribute_not_exists(#done) \
                 AND NOT contains(#counted, :member)",
            )
            .expression_attribute_names("#done", DONE)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":ttl", number(self.chord_expiry()))
            .expression_attribute_names("#count", CHORD_COUNT)
            .expression_attribute_names("#counted", COUNTED)
            .expression_attribute_names("#size", SIZE)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":member", text(&member))
            .expression_attribute_values(":members", AttributeValue::Ss(vec![member.clone()]))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let row = match update.send().await {
            Ok(updated) => updated.attributes.unwrap_or_default(),
            Err(error) => refused_by(error)?,
        };
        let Some(count) = row::find_number::<u64>(&row, CHORD_COUNT)? else {
            return Ok(None);
        };
        if row.contains_key(DONE) {
            // Whoever ended the chord may have died before it deleted the group.
            self.delete_group(group).await?;
            return Ok(None);
        }
        // Celery writes fractions of a second.
        let began: f64 = row::find_number(&row, TIMESTAMP)?.unwrap_or(0.0);
        #[allow(clippy::cast_precision_loss)] // exact for times of this age
        let age = now_ms() as f64 / 1000.0 - began;
        let counted = row.get(COUNTED).and_then(|names| names.as_ss().ok());
        let body = row.get(CHORD_BODY).and_then(|body| body.as_s().ok());
        Ok(Some(Counter {
            count,
            size: row::find_number(&row, SIZE)?.filter(|size| *size > 0),
            is_old: age > self.ttl.as_secs_f64(),
            body: body.and_then(|body| parse_str(body).ok()),
            counted: counted.cloned().unwrap_or_default(),
        }))
    }

    /// Notes the number of a chord's members, so that only the last members read the group.
    pub async fn note_size(&self, group: &str, size: u64) -> Result<(), StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key(ID, text(self.keys.chord(group)))
            .update_expression("SET #size = :size")
            .condition_expression("attribute_exists(#count)")
            .expression_attribute_names("#size", SIZE)
            .expression_attribute_names("#count", CHORD_COUNT)
            .expression_attribute_values(":size", number(size));
        condition_held(update.send().await).map(drop)
    }

    /// Notes on the counter of a chord that the chord is done, and deletes its group. The counter stays, so
    /// that a member that is counted again is told of the end.
    pub async fn end_chord(&self, group: &str) -> Result<(), StoreError> {
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key(ID, text(self.keys.chord(group)))
            .update_expression("SET #done = :one, #ttl = :ttl REMOVE #counted, #body")
            .condition_expression("attribute_exists(#count)")
            .expression_attribute_names("#done", DONE)
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_names("#counted", COUNTED)
            .expression_attribute_names("#body", CHORD_BODY)
            .expression_attribute_names("#count", CHORD_COUNT)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":ttl", number(self.expiry() + RETENTION));
        condition_held(update.send().await)?;
        self.delete_group(group).await
    }

    async fn delete_group(&self, group: &str) -> Result<(), StoreError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let deleted = delete.key(ID, text(self.keys.group(group))).send().await;
        deleted.map(drop).map_err(call_error)
    }

    /// The group of a chord; `None` if the chord is done, or the group has expired.
    pub async fn group(&self, group: &str) -> Result<Option<Group>, StoreError> {
        let get = self.client.get_item().table_name(&self.table);
        let get = get
            .key(ID, text(self.keys.group(group)))
            .consistent_read(true);
        let found = get.send().await.map_err(call_error)?.item;
        let bytes = found.as_ref().and_then(bytes);
        bytes
            .map(|bytes| read_group(bytes).map_err(corrupt))
            .transpose()
    }

    /// The results of tasks, in order; `None` for a task without a result. An unreadable result is a failure.
    pub async fn results(&self, ids: &[String]) -> Result<Vec<Option<Stored>>, StoreError> {
        let mut keys: Vec<String> = ids.iter().map(|id| self.keys.task(id)).collect();
        let of_tasks = keys.clone();
        // A batch must not name a key twice.
        keys.sort_unstable();
        keys.dedup();
        let keys = keys.into_iter();
        let keys = keys.map(|key| Row::from([(ID.to_owned(), text(key))]));
        let rows = batch_get(&self.client, &self.table, keys.collect(), true).await?;
        let mut found = std::collections::HashMap::new();
        for row in &rows {
            if let Some(bytes) = bytes(row) {
                let stored = read(bytes).unwrap_or_else(|_| Stored::unreadable());
                found.insert(row::get_text(row, ID)?, stored);
            }
        }
        Ok(of_tasks.iter().map(|key| found.get(key).cloned()).collect())
    }

    fn item(&self, key: String, bytes: Vec<u8>, expiry: u64) -> Row {
        Row::from([
            (ID.to_owned(), text(key)),
            (RESULT.to_owned(), AttributeValue::B(Blob::new(bytes))),
            (TIMESTAMP.to_owned(), number(now_ms() / 1000)),
            (TTL.to_owned(), number(expiry)),
        ])
    }

    fn expiry(&self) -> u64 {
        now_ms() / 1000 + self.ttl.as_secs()
    }

    /// The expiry of a chord that is not done: any of its members may wait for its eta.
    fn chord_expiry(&self) -> u64 {
        self.expiry() + MAX_WAIT
    }
}

/// An id that fits the table's keys.
fn checked(id: &str) -> Result<&str, StoreError> {
    match id.len() <= MAX_ID {
        true => Ok(id),
        false => Err(StoreError::Corrupt("an id is too long".to_owned())),
    }
}

/// A name of 12 characters for a member in the set of the counted: a write costs by the size of the set.
/// Two of 10,000 members have the same name once in 10^14 chords.
fn short(member: &str) -> String {
    let hash = Uuid::new_v5(&MEMBERS, member.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..9])
}

fn bytes(row: &Row) -> Option<&[u8]> {
    row.get(RESULT)?.as_b().ok().map(Blob::as_ref)
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
