//! The parts of a task's description that are too large for the record: input and origin, in chunks.

use serde_json::value::RawValue;

use super::TaskStore;
use super::chunks::{Chunks, LONGEST_WAIT, json};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::tasks::task::{Origin, Task};

/// The largest input in bytes of JSON. A function's event has at most 6 MB, and the body is a part of
/// the event.
pub const MAX_INPUT: usize = 5 * 1024 * 1024;

/// The largest input in the record itself: each write to a record costs one unit for each KB of the
/// whole record.
const MAX_RECORD_INPUT: usize = 512;
/// The largest origin's data in the record itself. More than an input's: a task of another format with
/// nothing but its own end to report has about half of this, and chunks would cost a call for each of
/// these tasks.
const MAX_RECORD_ORIGIN: usize = 1024;

/// The first parts of the input's chunks, and of the chunks of the origin's data.
pub(super) const INPUT_PARTS: u32 = 1;
const ORIGIN_PARTS: u32 = 500;

/// Where the parts of a description begin for a message of a generation above 0, apart from those of all
/// other generations (but for one in [`GENERATIONS`]): a late message of an earlier generation stores its own
/// description again.
const LATER_PARTS: u32 = 600_000_000;
/// The number of these places, a prime; a place has 1,000 parts.
const GENERATIONS: u32 = 399_989;

/// Where the parts of a task's description begin, but for 1.
fn description(task: &Task) -> u32 {
    match task.generation {
        0 => 0,
        generation => LATER_PARTS + generation % GENERATIONS * 1_000,
    }
}

/// The outcome of storing a submission's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredInput {
    /// The input is stored in so many chunks; 0 if the record and the message hold the input.
    Chunks(u32),
    /// The chunks under this id belong to another submission with the same idempotency key.
    Different,
}

impl TaskStore {
    /// Stores an input that is too large for the record, in chunks. Call this before the message is
    /// sent: a crash then leaves chunks without a task, which expire.
    ///
    /// If two submissions use one idempotency key for different inputs, the first submission to write
    /// its first chunk owns the chunks; the other submission is refused before it sends its message.
    pub async fn put_input(&self, task: &Task) -> Result<StoredInput, StoreError> {
        let is_large =
            |input: &&RawValue| task.input_chunks == 0 && input.get().len() > MAX_RECORD_INPUT;
        let Some(input) = task.input().filter(is_large) else {
            return Ok(StoredInput::Chunks(task.input_chunks));
        };
        let chunks = self.put_described(
            task,
            description(task) + INPUT_PARTS,
            input.get(),
            earliest_start(task),
        );
        let stored = chunks.await?;
        Ok(stored.map_or(StoredInput::Different, StoredInput::Chunks))
    }

    /// Stores an origin's data that is too large for the record, in chunks, and returns their number.
    /// Nobody stores the data of a message of another format before a worker receives the message, so
    /// each worker stores the data before the first write of the record. The rows are the same each time.
    async fn put_origin(&self, task: &Task, origin: &Origin) -> Result<u32, StoreError> {
        let is_large =
            |data: &&RawValue| origin.chunks == 0 && data.get().len() > MAX_RECORD_ORIGIN;
        let Some(data) = origin.data().filter(is_large) else {
            return Ok(origin.chunks);
        };
        let chunks = self.put_described(
            task,
            description(task) + ORIGIN_PARTS,
            data.get(),
            earliest_start(task),
        );
        Ok(chunks.await?.unwrap_or_default())
    }

    /// Stores what is too large for the record of a task with an origin, and notes the chunks' numbers in
    /// the task. Call this before the first write of the record.
    pub async fn put_large(&self, task: &mut Task) -> Result<StoredInput, StoreError> {
        match self.put_input(task).await? {
            StoredInput::Chunks(count) => task.input_chunks = count,
            StoredInput::Different => return Ok(StoredInput::Different),
        }
        if let Some(origin) = &task.origin {
            let count = self.put_origin(task, origin).await?;
            if let Some(origin) = &mut task.origin {
                origin.chunks = count;
            }
        }
        Ok(StoredInput::Chunks(task.input_chunks))
    }

    /// Stores a part of a task's description. `start` is the task's earliest start in seconds since the
    /// Unix epoch; the chunks expire [`LONGEST_WAIT`] and the retention later.
    async fn put_described(
        &self,
        task: &Task,
        first: u32,
        json: &str,
        start: u64,
    ) -> Result<Option<u32>, StoreError> {
        let chunks = Chunks {
            id: &task.id,
            first,
            owner: task.fingerprint.as_deref(),
            expires: start + LONGEST_WAIT.as_secs() + self.retention.as_secs(),
        };
        self.put_chunks(chunks, json).await
    }

    /// The input from its chunks; `None` if a chunk is missing.
    pub async fn stored_input(&self, task: &Task) -> Result<Option<Box<RawValue>>, StoreError> {
        let first = description(task) + INPUT_PARTS;
        let chunks = self.chunks(&task.id, first, task.input_chunks, MAX_INPUT);
        match chunks.await? {
            Some(text) => json(text).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the data of the task's origin from its chunks, if the message left the data out. `false` if a
    /// chunk is missing.
    pub async fn read_origin(&self, task: &mut Task) -> Result<bool, StoreError> {
        let first = description(task) + ORIGIN_PARTS;
        let Some(origin) = task
            .origin
            .as_mut()
            .filter(|origin| origin.data().is_none())
        else {
            return Ok(true);
        };
        let chunks = self.chunks(&task.id, first, origin.chunks, MAX_INPUT);
        let Some(text) = chunks.await? else {
            return Ok(false);
        };
        origin.set_data(json(text)?);
        Ok(true)
    }

    /// Extends the expiry of the chunks of a task's description, for another run.
    pub async fn keep_chunks(&self, task: &Task) -> Result<(), StoreError> {
        let origin = task.origin.as_ref().map_or(0, |origin| origin.chunks);
        for (first, count) in [(INPUT_PARTS, task.input_chunks), (ORIGIN_PARTS, origin)] {
            let first = description(task) + first;
            let stored = match count {
                0 => None,
                count => self.chunks(&task.id, first, count, MAX_INPUT).await?,
            };
            if let Some(json) = stored {
                let put = self.put_described(task, first, &json, now_ms() / 1000);
                put.await?;
            }
        }
        Ok(())
    }
}

/// The input, if the record itself holds the input.
pub(super) fn record_input(task: &Task) -> Option<&str> {
    let input = task.input()?.get();
    (task.input_chunks == 0 && input.len() <= MAX_RECORD_INPUT).then_some(input)
}

/// The data of an origin, if the record itself holds the data.
pub(super) fn record_origin(origin: &Origin) -> Option<&str> {
    let data = origin.data()?.get();
    (origin.chunks == 0 && data.len() <= MAX_RECORD_ORIGIN).then_some(data)
}

/// The earliest start of a task, in seconds since the Unix epoch.
fn earliest_start(task: &Task) -> u64 {
    task.options.eta.unwrap_or(task.submitted_at) / 1000
}
