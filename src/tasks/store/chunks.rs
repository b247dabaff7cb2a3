//! Rows beside the record: chunks of large texts, and checkpoints of jobs.

use std::io::{Read, Write};
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Put, TransactWriteItem};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::large::INPUT_PARTS;
use super::names::*;
use super::{Fenced, Lease, PART, RECORD, TaskStore, key};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, EXPIRES_AT, ID, Row, number, text};
use crate::dynamodb::{StoreError, call_error, condition_held};
use crate::tasks::id::TaskId;
use crate::tasks::state::State;

/// The largest result in bytes of JSON. A function's answer has at most 6 MB, and each quote of the
/// JSON takes two bytes there; so most stored results fit an answer.
pub const MAX_RESULT: usize = 5 * 1024 * 1024;

/// The largest result in the record itself. Only the last write of a record includes the result.
const MAX_RECORD_RESULT: usize = 16 * 1024;
/// Bytes of one chunk. DynamoDB takes 400 KB for a row with its names.
const CHUNK: usize = 390 * 1024;
/// How long an input's chunks are kept after the task's eta, in addition to the retention: as long as
/// SQS keeps a message.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(14 * 24 * 3600);

/// The first parts of the results' chunks (`PARTS_OF_RESULT` for each lease), and of the checkpoints. The
/// parts below hold the task's description.
const RESULT_PARTS: u32 = 1_000;
const PARTS_OF_RESULT: u32 = 32;
/// Where the chunks of a run's calls begin among the parts of an attempt: behind the 14 parts of the longest
/// result.
pub(super) const CALLS_OFFSET: u32 = 16;
const SAVED_PARTS: u32 = 1_000_000_000;
/// The number of places for results. A lease's token chooses the place of its result.
const RESULT_PLACES: u32 = 1 << 24;

/// A bound above the number of parts of a dead letter's body.
const MAX_BODY_PARTS: u32 = 4;

/// The namespace of the ids of dead letters' bodies (a random UUID).
const BODIES: Uuid = Uuid::from_u128(0x52c1_07e6_9b1d_4a8e_8f35_d1c7_1f0a_6be4);

const DATA: &str = "data";
/// The owner of a row: for an input's chunk the submission's fingerprint, for a checkpoint the time of
/// the task's submission. An id that is derived from an idempotency key may belong to another task
/// after the first record has expired.
const OWNER: &str = "owner";

/// The checkpoints of a task: number and JSON text of each.
pub type Saved = Vec<(u32, String)>;

impl TaskStore {
    /// Stores the body of a message that is too large for the dead-letter queue, compressed in parts
    /// from `INPUT_PARTS` on. Returns the id of the partition, which is derived from the body so that
    /// a repeated call writes the same rows, and the number of parts.
    pub async fn put_body(&self, body: &str) -> Result<(TaskId, u32), StoreError> {
        let id = TaskId::from(Uuid::new_v5(&BODIES, body.as_bytes()));
        let chunks = Chunks {
            id: &id,
            first: INPUT_PARTS,
            owner: None,
            expires: now_ms() / 1000 + LONGEST_WAIT.as_secs() + self.retention.as_secs(),
        };
        let parts = self.put_chunks(chunks, body).await?;
        Ok((id, parts.unwrap_or_default()))
    }

    /// The body that [`TaskStore::put_body`] has stored; `None` if the body is gone, or if something else is
    /// stored there.
    pub async fn stored_body(&self, id: &TaskId, parts: u32) -> Result<Option<String>, StoreError> {
        let parts = parts.min(MAX_BODY_PARTS);
        let body = self.chunks(id, INPUT_PARTS, parts, MAX_RESULT).await?;
        // A letter with a forged reference shows no other row.
        let is_body = |body: &String| TaskId::from(Uuid::new_v5(&BODIES, body.as_bytes())) == *id;
        Ok(body.filter(is_body))
    }

    /// Stores what an attempt gives in chunks, from the part `offset` of the attempt's own parts on, for
    /// the retention and `longer`. Returns the part of the first chunk, and the number of chunks.
    pub(super) async fn put_given(
        &self,
        held: &Lease,
        offset: u32,
        text: &str,
        longer: Duration,
    ) -> Result<(u32, u32), StoreError> {
        if text.len() > MAX_RESULT {
            return Err(StoreError::TooLarge);
        }
        let chunks = Chunks {
            id: &held.id,
            first: result_parts(held) + offset,
            owner: None,
            expires: now_ms() / 1000 + longer.as_secs() + self.retention.as_secs(),
        };
        let first = chunks.first;
        let stored = self.put_chunks(chunks, text).await?;
        Ok((first, stored.unwrap_or_default()))
    }

    /// A text of a record: from the record itself, or from its chunks.
    pub(super) async fn stored(
        &self,
        id: &TaskId,
        stored: Stored,
    ) -> Result<Box<RawValue>, StoreError> {
        match stored {
            Stored::Here(text) => json(text),
            Stored::Chunks { first, count } => {
                let chunks = self.chunks(id, first, count, MAX_RESULT);
                let gone = || StoreError::Corrupt("a stored chunk is missing".to_owned());
                json(chunks.await?.ok_or_else(gone)?)
            }
        }
    }

    /// Saves a checkpoint, on the condition that the attempt still holds its lease.
    pub async fn save(&self, held: &Lease, number: u32, json: &str) -> Result<Fenced, StoreError> {
        let expires = now_ms() / 1000 + LONGEST_WAIT.as_secs() + self.retention.as_secs();
        let part = SAVED_PARTS.saturating_add(number);
        let data = compress(json)?;
        if data.len() > CHUNK {
            return Err(StoreError::TooLarge);
        }
        let holds_lease = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(&held.id, RECORD)))
            .condition_expression("#state = :running AND #token = :token")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#token", LEASE_TOKEN)
            .expression_attribute_values(":running", text(State::Running.as_str()))
            .expression_attribute_values(":token", text(&held.token));
        let mut row = chunk_row(&held.id, part, &data, expires);
        row.insert(OWNER.to_owned(), text(held.created_at.to_string()));
        let put = Put::builder().table_name(&self.table).set_item(Some(row));
        let invalid = |error| StoreError::Call(Box::new(error));
        let check = TransactWriteItem::builder()
            .condition_check(holds_lease.build().map_err(invalid)?)
            .build();
        let put = TransactWriteItem::builder()
            .put(put.build().map_err(invalid)?)
            .build();
        let write = self.client.transact_write_items();
        let write = write.transact_items(check).transact_items(put);
        match write.send().await {
            Ok(_) => Ok(Fenced::Written),
            Err(error) if is_refused(&error) => Ok(Fenced::Lost),
            Err(error) => Err(call_error(error)),
        }
    }

    /// The checkpoints of a task's earlier attempts.
    pub async fn saved(&self, held: &Lease) -> Result<Saved, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#id = :id AND #part >= :first")
            .expression_attribute_names("#id", ID)
            .expression_attribute_names("#part", PART)
            .expression_attribute_values(":id", text(held.id.to_string()))
            .expression_attribute_values(":first", number(SAVED_PARTS));
        let owner = held.created_at.to_string();
        let mut rows = query.into_paginator().items().send();
        let mut saved = Vec::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(call_error)?;
            if row::find_text(&row, OWNER).as_ref() != Some(&owner) {
                continue;
            }
            let part: u32 = row::get_number(&row, PART)?;
            let text = decompress(data(&row)?, MAX_RESULT)?;
            saved.push((part.saturating_sub(SAVED_PARTS), text));
        }
        Ok(saved)
    }

    /// Writes chunks, and returns their number; `None` if another owner has written the chunks.
    pub(super) async fn put_chunks(
        &self,
        chunks: Chunks<'_>,
        text: &str,
    ) -> Result<Option<u32>, StoreError> {
        let compressed = compress(text)?;
        let mut part = chunks.first;
        for data in compressed.chunks(CHUNK) {
            if !self.put_chunk(&chunks, part, data).await? {
                return Ok(None);
            }
            part += 1;
        }
        Ok(Some(part - chunks.first))
    }

    async fn put_chunk(
        &self,
        chunks: &Chunks<'_>,
        part: u32,
        data: &[u8],
    ) -> Result<bool, StoreError> {
        let mut row = chunk_row(chunks.id, part, data, chunks.expires);
        let put = self.client.put_item().table_name(&self.table);
        let put = match chunks.owner {
            None => put.set_item(Some(row)),
            Some(owner) => {
                row.insert(OWNER.to_owned(), text(owner));
                put.set_item(Some(row))
                    .condition_expression(
                        "attribute_not_exists(#id) OR #owner = :owner OR #expires <= :now",
                    )
                    .expression_attribute_names("#id", ID)
                    .expression_attribute_names("#owner", OWNER)
                    .expression_attribute_names("#expires", EXPIRES_AT)
                    .expression_attribute_values(":owner", text(owner))
                    .expression_attribute_values(":now", number(now_ms() / 1000))
            }
        };
        condition_held(put.send().await)
    }

    pub(super) async fn chunks(
        &self,
        id: &TaskId,
        first: u32,
        count: u32,
        most: usize,
    ) -> Result<Option<String>, StoreError> {
        let mut compressed = Vec::new();
        for part in first..first.saturating_add(count) {
            let get = self
                .client
                .get_item()
                .table_name(&self.table)
                .consistent_read(true)
                .set_key(Some(key(id, part)));
            let Some(row) = get.send().await.map_err(call_error)?.item else {
                return Ok(None);
            };
            compressed.extend_from_slice(data(&row)?);
        }
        decompress(&compressed, most).map(Some)
    }
}

/// The place, the owner and the expiry of chunks.
pub(super) struct Chunks<'a> {
    pub id: &'a TaskId,
    pub first: u32,
    /// Other owners' chunks are not overwritten. `None` for a place that only one owner uses.
    pub owner: Option<&'a str>,
    /// In seconds since the Unix epoch.
    pub expires: u64,
}

/// A text that belongs to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// In the record itself.
    Here(String),
    /// In this many chunks.
    Chunks { first: u32, count: u32 },
}

impl Stored {
    /// The text under these attributes of a row: the text, the number of its chunks, and the part of the
    /// first chunk.
    pub fn of(
        row: &Row,
        text: &str,
        chunks: &str,
        part: &str,
    ) -> Result<Option<Stored>, StoreError> {
        let here = row::find_text(row, text);
        Stored::from(
            here,
            row::find_number(row, chunks)?,
            row::find_number(row, part)?,
        )
    }

    /// As [`Stored::of`], from the values.
    pub fn from(
        here: Option<String>,
        chunks: Option<u32>,
        part: Option<u32>,
    ) -> Result<Option<Stored>, StoreError> {
        match (here, chunks, part) {
            (Some(text), ..) => Ok(Some(Stored::Here(text))),
            (None, Some(count), Some(first)) => Ok(Some(Stored::Chunks { first, count })),
            (None, Some(_), None) => Err(StoreError::Corrupt("chunks without a part".to_owned())),
            (None, None, _) => Ok(None),
        }
    }
}

/// Whether the record itself can hold a result.
pub(super) fn fits_record(result: &str) -> bool {
    result.len() <= MAX_RECORD_RESULT
}

/// A JSON text that this program has written.
pub(super) fn json(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The part of the first chunk of an attempt's result. Each lease has a place of its own, so an attempt
/// that was taken for dead cannot mix its result into the result of another attempt or run.
fn result_parts(held: &Lease) -> u32 {
    // The last bits of a version 4 UUID are random.
    let token = Uuid::parse_str(&held.token).unwrap_or_default();
    let place = token.as_u128() as u32 % RESULT_PLACES;
    RESULT_PARTS + place * PARTS_OF_RESULT
}

fn chunk_row(id: &TaskId, part: u32, data: &[u8], expires: u64) -> Row {
    let mut row = key(id, part);
    row.insert(DATA.to_owned(), AttributeValue::B(Blob::new(data)));
    row.insert(EXPIRES_AT.to_owned(), number(expires));
    row
}

fn data(row: &Row) -> Result<&[u8], StoreError> {
    let data = row.get(DATA).and_then(|value| value.as_b().ok());
    data.map(AsRef::as_ref)
        .ok_or_else(|| StoreError::Corrupt("a chunk has no data".to_owned()))
}

fn compress(text: &str) -> Result<Vec<u8>, StoreError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let compressed = encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish());
    compressed.map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn decompress(data: &[u8], most: usize) -> Result<String, StoreError> {
    let mut text = String::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let read = GzDecoder::new(data)
        .take(most.saturating_add(1))
        .read_to_string(&mut text);
    read.map_err(|error| StoreError::Corrupt(format!("a chunk cannot be read: {error}")))?;
    match text.len() as u64 > most {
        true => Err(StoreError::Corrupt("chunks are too long".to_owned())),
        false => Ok(text),
    }
}

/// Whether a transaction was refused because its condition did not hold.
fn is_refused<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
        error.as_service_error()
    else {
        return false;
    };
    cancelled
        .cancellation_reasons()
        .iter()
        .any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}
