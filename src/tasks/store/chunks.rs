//! What does not fit in a record: large inputs and results, and what jobs save on their way.

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

use super::names::*;
use super::{Fenced, Lease, PART, RECORD, TaskStore, key};
use crate::clock::now_ms;
use crate::dynamodb::row::{self, EXPIRES_AT, ID, Row, number, text};
use crate::dynamodb::{StoreError, call_error, condition_held};
use crate::tasks::state::Event;
use crate::tasks::task::Task;

/// The largest input in bytes of JSON. A function is given 6 MB, of which its body is a part.
pub const MAX_INPUT: usize = 5 * 1024 * 1024;
/// The largest result in bytes of JSON. A function's answer has 6 MB, in which each quote of the
/// JSON takes two bytes; a result that is stored is one that can be answered in most cases.
pub const MAX_RESULT: usize = 5 * 1024 * 1024;

/// The largest input that is kept in the record itself: each write to a record costs by the whole
/// record's size, one unit for each KB.
const KEPT_INPUT: usize = 512;
/// The largest result that is kept in the record itself. It is written once, with the last write.
const KEPT_RESULT: usize = 16 * 1024;
/// Bytes of one chunk. DynamoDB takes 400 KB for a row with its names.
const CHUNK: usize = 390 * 1024;
/// How long the chunks of an input outlast the time at which it may begin, beside the retention:
/// as long as SQS keeps a message.
const LONGEST_WAIT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Parts of a task: its input's chunks, those of its results (so many for each lease), and what its
/// job has saved.
const INPUT_PARTS: u32 = 1;
const RESULT_PARTS: u32 = 1_000;
const PARTS_OF_RESULT: u32 = 32;
const SAVED_PARTS: u32 = 1_000_000_000;
/// How many leases have places of their own for a result.
const RESULT_PLACES: u32 = 1 << 24;

/// The namespace of the ids of dead letters' bodies (a random UUID).
const BODIES: Uuid = Uuid::from_u128(0x52c1_07e6_9b1d_4a8e_8f35_d1c7_1f0a_6be4);

const DATA: &str = "data";
/// Whose a chunk is: of an input, the submission's fingerprint; of what a job saved, when its task
/// was accepted. An id that is made of an idempotency key may be used for another task once the
/// record of the first has expired.
const OWNER: &str = "owner";

/// What a job saved, by its number.
pub type Saved = Vec<(u32, String)>;

/// What became of a submission's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredInput {
    /// It is stored in so many chunks; none where the record and the message hold it.
    Chunks(u32),
    /// Under this id the input of a submission is stored that asked for something else.
    Different,
}

impl TaskStore {
    /// Stores an input that is too large for the record, and says in how many chunks. Done before
    /// the task is sent: a crash leaves chunks of no task, which vanish by their time.
    ///
    /// Of two submissions that use one idempotency key for different inputs, the first to write
    /// its first chunk has the place, and the other is told so before it sends anything.
    pub async fn put_input(&self, task: &Task) -> Result<StoredInput, StoreError> {
        let Some(input) = task.input().filter(|input| input.get().len() > KEPT_INPUT) else {
            return Ok(StoredInput::Chunks(task.input_chunks));
        };
        let begins = task.options.eta.unwrap_or(task.submitted_at) / 1000;
        self.put_input_until(task, input.get(), begins).await
    }

    /// Stores an input until long after the time `begins`, in seconds since the Unix epoch.
    async fn put_input_until(
        &self,
        task: &Task,
        input: &str,
        begins: u64,
    ) -> Result<StoredInput, StoreError> {
        let chunks = Chunks {
            id: task.id,
            first: INPUT_PARTS,
            owner: task.fingerprint.as_deref(),
            expires: begins + LONGEST_WAIT.as_secs() + self.retention.as_secs(),
        };
        let stored = self.put_chunks(chunks, input).await?;
        Ok(stored.map_or(StoredInput::Different, StoredInput::Chunks))
    }

    /// Stores the body of a message that is too large for the dead-letter queue, compressed in parts
    /// from `INPUT_PARTS` on. Returns the id of the partition, which is derived from the body so that
    /// a repeated call writes the same rows, and the number of parts.
    pub async fn put_body(&self, body: &str) -> Result<(Uuid, u32), StoreError> {
        let id = Uuid::new_v5(&BODIES, body.as_bytes());
        let chunks = Chunks {
            id,
            first: INPUT_PARTS,
            owner: None,
            expires: now_ms() / 1000 + LONGEST_WAIT.as_secs() + self.retention.as_secs(),
        };
        let parts = self.put_chunks(chunks, body).await?;
        Ok((id, parts.unwrap_or_default()))
    }

    /// The input of a task that does not carry it; `None` where it is there no more.
    pub async fn stored_input(&self, task: &Task) -> Result<Option<Box<RawValue>>, StoreError> {
        let chunks = self.chunks(task.id, INPUT_PARTS, task.input_chunks, MAX_INPUT);
        match chunks.await? {
            Some(text) => json(text).map(Some),
            None => Ok(None),
        }
    }

    /// Keeps a stored input for another run.
    pub async fn keep_input(&self, task: &Task) -> Result<(), StoreError> {
        if task.input_chunks == 0 {
            return Ok(());
        }
        match self.stored_input(task).await? {
            Some(input) => {
                let put = self.put_input_until(task, input.get(), now_ms() / 1000);
                put.await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Stores a result, and says where its chunks begin and how many there are.
    pub(super) async fn put_result(
        &self,
        held: &Lease,
        result: &str,
    ) -> Result<(u32, u32), StoreError> {
        if result.len() > MAX_RESULT {
            return Err(StoreError::TooLarge);
        }
        let chunks = Chunks {
            id: held.id,
            first: result_parts(held),
            owner: None,
            expires: now_ms() / 1000 + self.retention.as_secs(),
        };
        let first = chunks.first;
        let stored = self.put_chunks(chunks, result).await?;
        Ok((first, stored.unwrap_or_default()))
    }

    pub(super) async fn stored_result(
        &self,
        id: Uuid,
        first: u32,
        count: u32,
    ) -> Result<Box<RawValue>, StoreError> {
        let chunks = self.chunks(id, first, count, MAX_RESULT);
        let gone = || StoreError::Corrupt("a result's chunk is missing".to_owned());
        json(chunks.await?.ok_or_else(gone)?)
    }

    /// Saves a piece of what a job has done, on the condition that the attempt still has its lease.
    pub async fn save(&self, held: &Lease, piece: u32, json: &str) -> Result<Fenced, StoreError> {
        let expires = now_ms() / 1000 + LONGEST_WAIT.as_secs() + self.retention.as_secs();
        let part = SAVED_PARTS.saturating_add(piece);
        let data = compress(json)?;
        if data.len() > CHUNK {
            return Err(StoreError::TooLarge);
        }
        let holds = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key(held.id, RECORD)))
            .condition_expression("#state = :running AND #token = :token")
            .expression_attribute_names("#state", STATE)
            .expression_attribute_names("#token", LEASE_TOKEN)
            .expression_attribute_values(":running", text(Event::Extend.target().as_str()))
            .expression_attribute_values(":token", text(&held.token));
        let mut row = chunk_row(held.id, part, &data, expires);
        row.insert(OWNER.to_owned(), text(held.created_at.to_string()));
        let put = Put::builder().table_name(&self.table).set_item(Some(row));
        let broken = |error| StoreError::Call(Box::new(error));
        let (holds, put) = (holds.build().map_err(broken)?, put.build().map_err(broken)?);
        let write = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().condition_check(holds).build())
            .transact_items(TransactWriteItem::builder().put(put).build());
        match write.send().await {
            Ok(_) => Ok(Fenced::Written),
            Err(error) if is_refused(&error) => Ok(Fenced::Lost),
            Err(error) => Err(call_error(error)),
        }
    }

    /// What earlier attempts of a task saved.
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

    /// Writes chunks, and says how many; `None` where the first place is another owner's.
    async fn put_chunks(&self, chunks: Chunks<'_>, text: &str) -> Result<Option<u32>, StoreError> {
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

    async fn chunks(
        &self,
        id: Uuid,
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

/// Where chunks are stored, whose they are, and until when.
struct Chunks<'a> {
    id: Uuid,
    first: u32,
    /// Nobody else's chunks are overwritten; `None` for places that are nobody else's anyway.
    owner: Option<&'a str>,
    /// In seconds since the Unix epoch.
    expires: u64,
}

/// The input that is kept in the record, if it is.
pub(super) fn kept_input(task: &Task) -> Option<&str> {
    let input = task.input()?.get();
    (task.input_chunks == 0 && input.len() <= KEPT_INPUT).then_some(input)
}

/// Whether a result is kept in the record.
pub(super) fn fits_record(result: &str) -> bool {
    result.len() <= KEPT_RESULT
}

/// A text of ours that is JSON.
pub(super) fn json(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Where the chunks of an attempt's result begin: each lease has a place of its own, so that one
/// that was taken for dead cannot mix its result into its successor's, not even into that of
/// another run.
fn result_parts(held: &Lease) -> u32 {
    // The last bits of a version 4 UUID are random ones.
    let token = Uuid::parse_str(&held.token).unwrap_or_default();
    let place = token.as_u128() as u32 % RESULT_PLACES;
    RESULT_PARTS + place * PARTS_OF_RESULT
}

fn chunk_row(id: Uuid, part: u32, data: &[u8], expires: u64) -> Row {
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
