//! Names of attributes, and how rows are spread over partitions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::StoreError;

/// A row, as the SDK hands it over.
pub type Row = HashMap<String, AttributeValue>;

/// Partitions of a table of documents. One partition takes 1,000 writes a second (AWS' "Service,
/// account, and table quotas"); four take 4,000, which is also what a new on-demand table takes
/// in all. A list reads all of them at once.
pub const SHARDS: i64 = 4;

/// The partition key of items and users.
pub const SHARD: &str = "shard";
/// The sort key of items and users; the partition key of tasks and of API keys.
pub const ID: &str = "id";
/// The sort key of tasks: 0 is the record.
pub const PART: &str = "part";
/// A document's JSON text.
pub const DOCUMENT: &str = "document";
/// Seconds since the Unix epoch after which a row is no longer there (the TTL attribute).
pub const EXPIRES_AT: &str = "expires_at";

/// The partition of a document. Issued ids end in random bits, so they spread evenly.
pub fn shard(id: i64) -> i64 {
    id.rem_euclid(SHARDS)
}

/// A document's whole key.
pub fn document_key(id: i64) -> Row {
    Row::from([
        (SHARD.to_owned(), number(shard(id))),
        (ID.to_owned(), number(id)),
    ])
}

/// A number attribute.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number that must be in a row.
pub fn get_number<T: std::str::FromStr>(row: &Row, name: &str) -> Result<T, StoreError> {
    find_number(row, name)?.ok_or_else(|| StoreError::Corrupt(format!("no {name}")))
}

/// A number that may be in a row.
pub fn find_number<T: std::str::FromStr>(row: &Row, name: &str) -> Result<Option<T>, StoreError> {
    let Some(value) = row.get(name) else {
        return Ok(None);
    };
    let number = value.as_n().ok().and_then(|number| number.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| StoreError::Corrupt(format!("{name} is no number")))
}

/// A text that must be in a row.
pub fn get_text(row: &Row, name: &str) -> Result<String, StoreError> {
    find_text(row, name).ok_or_else(|| StoreError::Corrupt(format!("no {name}")))
}

/// A text that may be in a row.
pub fn find_text(row: &Row, name: &str) -> Option<String> {
    row.get(name)?.as_s().ok().cloned()
}

/// Whether a row's time has passed: DynamoDB deletes such rows up to days later.
pub fn is_expired(row: &Row, now_ms: u64) -> Result<bool, StoreError> {
    let expires_at = find_number::<u64>(row, EXPIRES_AT)?;
    Ok(expires_at.is_some_and(|seconds| seconds <= now_ms / 1000))
}
