//! The row of a schedule, read and written by `serde_dynamo`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::due;
use crate::dynamodb::{Row, StoreError};
use crate::schedules::schedule::{Definition, Schedule};

/// The partition of the index by name: all schedules. The index is written when a schedule is created and
/// deleted, and DynamoDB takes 1,000 of these writes a second.
pub const ALL: &str = "all";

/// The attributes of a row. The definition is JSON text: a DynamoDB map keeps neither the order of keys nor
/// the form of numbers.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    id: String,
    uid: String,
    stamp: String,
    list: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    definition: String,
    version: u64,
    created_at: u64,
    updated_at: u64,
    anchor: u64,
    #[serde(default)]
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claimed: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    count: u64,
    /// The key in the index of what is due; absent if nothing will be due.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_shard: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
}

/// Reads a row.
///
/// # Errors
/// When an attribute is missing or has another form.
pub fn read(row: Row) -> Result<Schedule, StoreError> {
    let corrupt = |error: String| StoreError::Corrupt(error);
    let record: Record =
        serde_dynamo::from_item(row).map_err(|error| corrupt(error.to_string()))?;
    let uuid = |text: &str| Uuid::try_parse(text).map_err(|error| corrupt(error.to_string()));
    let definition: Definition =
        serde_json::from_str(&record.definition).map_err(|error| corrupt(error.to_string()))?;
    Ok(Schedule {
        uid: uuid(&record.uid)?,
        stamp: uuid(&record.stamp)?,
        name: record.id,
        caller: record.caller,
        definition,
        version: record.version,
        created_at: record.created_at,
        updated_at: record.updated_at,
        anchor: record.anchor,
        paused: record.paused,
        next: record.next,
        claimed: record.claimed,
        before: record.before,
        last: record.last,
        count: record.count,
    })
}

/// The row of a schedule.
///
/// # Errors
/// None in practice: every definition can be written as JSON.
pub fn write(schedule: &Schedule) -> Result<Row, StoreError> {
    let corrupt = |error: String| StoreError::Corrupt(error);
    let definition = serde_json::to_string(&schedule.definition);
    let due = schedule.due();
    let record = Record {
        id: schedule.name.clone(),
        uid: schedule.uid.to_string(),
        stamp: schedule.stamp.to_string(),
        list: ALL.to_owned(),
        caller: schedule.caller.clone(),
        definition: definition.map_err(|error| corrupt(error.to_string()))?,
        version: schedule.version,
        created_at: schedule.created_at,
        updated_at: schedule.updated_at,
        anchor: schedule.anchor,
        paused: schedule.paused,
        next: schedule.next,
        claimed: schedule.claimed.clone(),
        before: schedule.before,
        last: schedule.last,
        count: schedule.count,
        due_shard: due.map(|_| due::shard(schedule)),
        due,
    };
    serde_dynamo::to_item(record).map_err(|error| corrupt(error.to_string()))
}
