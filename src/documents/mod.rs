//! Tables of JSON documents under integer ids: the common part of items and users.
//!
//! A document is stored as its JSON text, because a DynamoDB map keeps neither the order of keys nor
//! the form of numbers. Rows are spread over four partitions. A list reads a page of each
//! partition and merges the pages by id.

mod ids;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use futures_util::TryStreamExt;
use futures_util::stream::FuturesUnordered;
use uuid::Uuid;

use crate::dynamodb::row::{self, ID, Row, number};
use crate::dynamodb::{StoreError, call_error, refused_by};
use crate::json::{Json, Object};

/// Partitions of a table of documents. One partition takes 1,000 writes a second (AWS' "Service,
/// account, and table quotas"); four partitions take 4,000, the limit of a new on-demand table. A
/// list reads all partitions at once.
const SHARDS: i64 = 4;

/// The partition key.
const SHARD: &str = "shard";
/// A document's JSON text.
const DOCUMENT: &str = "document";

/// Bytes of documents in one page. The answer stays well under Lambda's 6 MB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Tries before a writer fails: each try meets a taken id with a probability of about 1 in 4,096 per
/// other writer in the same millisecond.
const ID_TRIES: usize = 8;

/// The attribute that names the call that put the row.
const WRITER: &str = "writer";

/// A document has a number that JSON cannot express: `NaN` or an infinity, which Python's decoder
/// accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document has a number that is not finite")]
pub struct NotFinite;

/// The JSON text of an object, as the service stores and sends it: keys and numbers as Python's
/// decoder and encoder leave them.
///
/// # Errors
/// For a number that is not finite.
pub fn to_text(object: Object) -> Result<String, NotFinite> {
    Json::Object(object).to_text().map_err(|_| NotFinite)
}

/// As [`to_text`], with null in place of a number that is not finite: for inputs that no answer
/// returns.
pub fn to_text_lossy(object: Object) -> String {
    let mut value = Json::Object(object);
    if !value.is_finite() {
        value.replace_not_finite();
    }
    value.to_string()
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows, by id.
    pub rows: Vec<T>,
    /// The id after which the next page begins; `None` on the last page.
    pub next: Option<i64>,
}

/// One table of documents.
#[derive(Debug, Clone)]
pub struct Documents {
    client: Client,
    table: String,
}

impl Documents {
    /// The documents in `table`.
    pub fn new(client: Client, table: String) -> Documents {
        Documents { client, table }
    }

    /// The client, for calls on single rows.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The put of a row. The caller adds a condition and sends the put.
    pub fn put(&self, id: i64, fields: Row) -> PutItemFluentBuilder {
        let row = document_key(id).into_iter().chain(fields).collect();
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
    }

    /// Stores the document `text(id)` under a new id.
    pub async fn create(&self, text: impl Fn(i64) -> String) -> Result<i64, StoreError> {
        self.create_with(text, ids::new_id).await
    }

    async fn create_with(
        &self,
        text: impl Fn(i64) -> String,
        new_id: impl Fn() -> i64,
    ) -> Result<i64, StoreError> {
        // Distinguishes this call's row from another writer's row: if an answer is lost, the SDK
        // repeats the put, and the repetition meets the row of the first try.
        let writer = row::text(Uuid::new_v4().to_string());
        for _ in 0..ID_TRIES {
            let id = new_id();
            let fields = Row::from([document(&text(id)), (WRITER.to_owned(), writer.clone())]);
            let put = self
                .put(id, fields)
                .condition_expression("attribute_not_exists(id)")
                .return_values_on_condition_check_failure(AllOld);
            match put.send().await {
                Ok(_) => return Ok(id),
                Err(error) => {
                    let existing = refused_by(error)?;
                    if existing.get(WRITER) == Some(&writer) {
                        return Ok(id);
                    }
                }
            }
        }
        Err(StoreError::Corrupt(format!(
            "{ID_TRIES} new ids in a row were taken"
        )))
    }

    /// The row `id`. The read is consistent, so a writer sees its own write.
    pub async fn get(&self, id: i64) -> Result<Option<Row>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let answer = get
            .set_key(Some(document_key(id)))
            .send()
            .await
            .map_err(call_error)?;
        Ok(answer.item)
    }

    /// A page of the rows after the id `after`. `keep` converts a row, or leaves the row out.
    pub async fn list<T>(
        &self,
        after: Option<i64>,
        limit: usize,
        keep: impl Fn(&Row) -> Result<Option<T>, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let mut rows = Vec::new();
        let (mut after, mut bytes) = (after, 0);
        if limit == 0 {
            return Ok(Page { rows, next: None });
        }
        loop {
            let stretch = self.stretch(after, limit - rows.len()).await?;
            for row in &stretch.rows {
                after = Some(row::get_number(row, ID)?);
                bytes += row
                    .get(DOCUMENT)
                    .and_then(|d| d.as_s().ok())
                    .map_or(0, String::len);
                rows.extend(keep(row)?);
                if bytes > PAGE_BYTES {
                    break;
                }
            }
            let full = rows.len() >= limit || bytes > PAGE_BYTES;
            if full || !stretch.more {
                let more = stretch.more || bytes > PAGE_BYTES;
                let next = after.filter(|_| more);
                return Ok(Page { rows, next });
            }
        }
    }

    /// The next `limit` rows of all partitions together, or fewer with `more` set.
    async fn stretch(&self, after: Option<i64>, limit: usize) -> Result<Stretch, StoreError> {
        let shards = (0..SHARDS).map(|shard| self.query(shard, after, limit + 1));
        // This polls only the query that was woken; a join would poll all queries each time.
        let shards: FuturesUnordered<_> = shards.collect();
        let mut rows = Vec::new();
        // A partition with more rows than its answer has unread rows after its last row. Rows of
        // other partitions after that id are not in order yet.
        let mut horizon = i64::MAX;
        for shard in shards.try_collect::<Vec<_>>().await? {
            if let (Some(last), true) = (shard.rows.last(), shard.more) {
                horizon = horizon.min(row::get_number(last, ID)?);
            }
            rows.extend(shard.rows);
        }
        let mut keyed = Vec::with_capacity(rows.len());
        for row in rows {
            keyed.push((row::get_number::<i64>(&row, ID)?, row));
        }
        keyed.sort_by_key(|(id, _)| *id);
        let found = keyed.len();
        let rows: Vec<Row> = keyed
            .into_iter()
            .take(limit)
            .take_while(|(id, _)| *id <= horizon)
            .map(|(_, row)| row)
            .collect();
        let more = found > rows.len() || horizon < i64::MAX;
        Ok(Stretch { rows, more })
    }

    async fn query(
        &self,
        shard: i64,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Stretch, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#shard = :shard AND id > :after")
            // `shard` is a reserved word of DynamoDB.
            .expression_attribute_names("#shard", SHARD)
            .expression_attribute_values(":shard", number(shard))
            // Without a cursor the list begins at the lowest id.
            .expression_attribute_values(":after", number(after.unwrap_or(i64::MIN)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = query.send().await.map_err(call_error)?;
        let more = answer.last_evaluated_key.is_some();
        Ok(Stretch {
            rows: answer.items.unwrap_or_default(),
            more,
        })
    }
}

/// Consecutive rows, and whether more rows follow.
struct Stretch {
    rows: Vec<Row>,
    more: bool,
}

/// The partition of a document. Issued ids end in random bits, which spreads them evenly.
fn shard(id: i64) -> i64 {
    id.rem_euclid(SHARDS)
}

/// A document's whole key.
pub fn document_key(id: i64) -> Row {
    Row::from([
        (SHARD.to_owned(), number(shard(id))),
        (ID.to_owned(), number(id)),
    ])
}

/// A row's document.
///
/// # Errors
/// When the row has none.
pub fn document_of(row: &Row) -> Result<String, StoreError> {
    row::get_text(row, DOCUMENT)
}

/// The attribute of a document's text.
pub fn document(text: &str) -> (String, AttributeValue) {
    (DOCUMENT.to_owned(), row::text(text))
}

#[cfg(test)]
mod tests;
