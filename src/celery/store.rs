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
use super::result::{Group, Keys, Stored, group_result, read, read_group};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, ID, Row, number, text};
use crate::dynamodb::{StoreError, batch_get, call_error, condition_held, refused_by};

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
/// The namespace of the short names of members (a random UUID).
const MEMBERS: Uuid = Uuid::from_u128(0x6b1d_90f3_2c58_4e0a_a7f4_8e21_c05d_93b6);

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The number of counts. Workers of Celery count a member again when its message is delivered again.
    pub count: u64,
    /// The number of the chord's members, if noted.
    pub size: Option<u64>,
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

    /// Stores a task's result, unless a write of a later place is there. `place` orders the writes of one
    /// task: a slow worker must not overwrite the end with an earlier state. The write of a task that never
    /// ran ([`NEVER_RAN`]) replaces nothing that another worker stored.
    pub async fn put(&self, id: &str, place: u64, json: String) -> Result<(), StoreError> {
        let mut item = self.item(self.keys.task(checked(id)?), json);
        item.insert(PLACE.to_owned(), number(place));
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#absent) OR #place <= :place")
            .expression_attribute_names("#place", PLACE)
            .expression_attribute_names("#absent", if place == NEVER_RAN { ID } else { PLACE })
            .expression_attribute_values(":place", number(place));
        condition_held(put.send().await).map(drop)
    }

    /// Stores the counter and the group of a chord that begins, unless they are there.
    pub async fn begin_chord(&self, chord: &Chord) -> Result<(), StoreError> {
        let json = group_result(&chord.group, &chord.members);
        let group = self.item(self.keys.group(checked(&chord.group)?), json);
        let counter = Row::from([
            (ID.to_owned(), text(self.keys.chord(&chord.group))),
            (CHORD_COUNT.to_owned(), number(0)),
            (TIMESTAMP.to_owned(), number(now_ms() / 1000)),
            (TTL.to_owned(), number(self.expiry())),
        ]);
        // The counter last: a member counts only where the group is there.
        for item in [group, counter] {
            let put = self.client.put_item().table_name(&self.table);
            let put = put
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(#id)")
                .expression_attribute_names("#id", ID);
            condition_held(put.send().await)?;
        }
        Ok(())
    }

    /// Counts a member of a chord, once: one update increments Celery's counter and notes the member. Workers
    /// of Celery may increment the same counter. `None` if there is no counter: the chord is done, or its
    /// client does without.
    ///
    /// Every call gives the present count, so that any member whose effects are performed again finds a chord
    /// that is complete: the worker that counted last may have died before it sent the body.
    pub async fn count(&self, group: &str, member: &str) -> Result<Option<Counter>, StoreError> {
        let member = short(member);
        let update = self.client.update_item().table_name(&self.table);
        let update = update
            .key(ID, text(self.keys.chord(checked(group)?)))
            .update_expression(
                "SET #count = #count + :one, #size = if_not_exists(#size, :none) \
                 ADD #counted :members",
            )
            .condition_expression("attribute_exists(#count) AND NOT contains(#counted, :member)")
            .expression_attribute_names("#count", CHORD_COUNT)
            .expression_attribute_names("#counted", COUNTED)
            .expression_attribute_names("#size", SIZE)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":none", number(0))
            .expression_attribute_values(":member", text(&member))
            .expression_attribute_values(":members", AttributeValue::Ss(vec![member.clone()]))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let row = match update.send().await {
            Ok(updated) => updated.attributes.unwrap_or_default(),
            Err(error) => refused_by(error)?,
        };
        let Some(count) = row::find_number::<u64>(&row, CHORD_COUNT)? else {
            return Ok(None);
        };
        let counted = row.get(COUNTED).and_then(|names| names.as_ss().ok());
        Ok(Some(Counter {
            count,
            size: row::find_number(&row, SIZE)?.filter(|size| *size > 0),
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

    /// Deletes the counter and the group of a chord that is done. The group first: without its group, a
    /// chord counts as done.
    pub async fn end_chord(&self, group: &str) -> Result<(), StoreError> {
        for key in [self.keys.group(group), self.keys.chord(group)] {
            let delete = self.client.delete_item().table_name(&self.table);
            let deleted = delete.key(ID, text(key)).send().await;
            deleted.map_err(call_error)?;
        }
        Ok(())
    }

    /// The group of a chord; `None` if the chord is done.
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

    fn item(&self, key: String, json: String) -> Row {
        Row::from([
            (ID.to_owned(), text(key)),
            (
                RESULT.to_owned(),
                AttributeValue::B(Blob::new(json.into_bytes())),
            ),
            (TIMESTAMP.to_owned(), number(now_ms() / 1000)),
            (TTL.to_owned(), number(self.expiry())),
        ])
    }

    fn expiry(&self) -> u64 {
        now_ms() / 1000 + self.ttl.as_secs()
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
