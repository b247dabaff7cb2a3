//! Rows of tables: attributes by their names.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::StoreError;

/// A row, as the SDK returns it.
pub type Row = HashMap<String, AttributeValue>;

/// The sort key of items and users; the partition key of tasks and of API keys.
pub const ID: &str = "id";
/// Seconds since the Unix epoch after which a row no longer exists (the TTL attribute).
pub const EXPIRES_AT: &str = "expires_at";

/// A number attribute.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A required number of a row.
pub fn get_number<T: std::str::FromStr>(row: &Row, name: &str) -> Result<T, StoreError> {
    find_number(row, name)?.ok_or_else(|| StoreError::Corrupt(format!("no {name}")))
}

/// An optional number of a row.
pub fn find_number<T: std::str::FromStr>(row: &Row, name: &str) -> Result<Option<T>, StoreError> {
    let Some(value) = row.get(name) else {
        return Ok(None);
    };
    let number = value.as_n().ok().and_then(|number| number.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| StoreError::Corrupt(format!("{name} is no number")))
}

/// A required text of a row.
pub fn get_text(row: &Row, name: &str) -> Result<String, StoreError> {
    find_text(row, name).ok_or_else(|| StoreError::Corrupt(format!("no {name}")))
}

/// An optional text of a row.
pub fn find_text(row: &Row, name: &str) -> Option<String> {
    row.get(name)?.as_s().ok().cloned()
}

/// Whether a row has expired. DynamoDB deletes expired rows up to days later.
pub fn is_expired(row: &Row, now_ms: u64) -> Result<bool, StoreError> {
    let expires_at = find_number::<u64>(row, EXPIRES_AT)?;
    Ok(expires_at.is_some_and(|seconds| seconds <= now_ms / 1000))
}
