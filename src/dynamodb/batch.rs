//! Reading many rows at once.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::{Row, StoreError, call_error};

/// DynamoDB's most keys of one `BatchGetItem`.
pub const BATCH_KEYS: usize = 100;
/// The pause before the first repetition for unprocessed keys. Each further pause is twice as long.
/// DynamoDB leaves keys unprocessed if the answer exceeds 16 MB, or if the table is throttled.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Repetitions for unprocessed keys before the read fails: the pauses add up to about 10 s.
const REPETITIONS: u32 = 9;

/// The rows with these keys, in any order. A key without a row is skipped.
///
/// # Errors
/// When DynamoDB does not answer, or leaves keys unprocessed again and again.
pub async fn batch_get(
    client: &Client,
    table: &str,
    keys: Vec<Row>,
    consistent: bool,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(keys.len());
    for keys in keys.chunks(BATCH_KEYS) {
        let mut keys = keys.to_vec();
        let mut repetition = 0;
        while !keys.is_empty() {
            if repetition > 0 {
                tokio::time::sleep(FIRST_PAUSE * (1 << (repetition - 1))).await;
            }
            if repetition > REPETITIONS {
                return Err(StoreError::Busy);
            }
            repetition += 1;
            let (found, unprocessed) = read(client, table, keys, consistent).await?;
            rows.extend(found);
            keys = unprocessed;
        }
    }
    Ok(rows)
}

/// One call: the rows found, and the unprocessed keys.
async fn read(
    client: &Client,
    table: &str,
    keys: Vec<Row>,
    consistent: bool,
) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
    let wanted = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(consistent)
        .build()
        .map_err(|error| StoreError::Call(Box::new(error)))?;
    let get = client.batch_get_item().request_items(table, wanted);
    let answer = get.send().await.map_err(call_error)?;
    let rows = answer
        .responses
        .and_then(|mut tables| tables.remove(table))
        .unwrap_or_default();
    let unprocessed = answer
        .unprocessed_keys
        .and_then(|mut tables| tables.remove(table))
        .map(|unprocessed| unprocessed.keys);
    Ok((rows, unprocessed.unwrap_or_default()))
}
