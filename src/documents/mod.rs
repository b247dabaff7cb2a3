//! Tables of JSON documents under integer ids: what items and users have in common.
//!
//! A document is stored as its JSON text, because a DynamoDB map keeps neither the order of keys nor
//! the form of numbers. Rows are spread over [`SHARDS`] partitions. A list reads a page of each
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

/// Bytes of documents in one page, so that the answer stays well under Lambda's 6 MB.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Ids tried before a writer gives up: each try meets a taken id with a chance of about 1 in 4,096
/// per other writer of the same millisecond.
const ID_TRIES: usize = 8;

/// Which call put a row.
const WRITER: &str = "writer";

/// A document has a number that JSON cannot express: `NaN` or an infinity, which Python's decoder
/// accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document has a number that is not finite")]
pub struct NotFinite;

/// The text under which an object is stored, sent and answered: keys and numbers as Python's decoder
/// and encoder leave them.
///
/// # Errors
/// For a number that is not finite.
pub fn to_text(object: Object) -> Result<String, NotFinite> {
    Json::Object(object).to_text().map_err(|_| NotFinite)
}

/// As [`to_text`], with null in place of a number that is not finite: for input that no answer
/// echoes.
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

    /// A row's put, ready for a condition.
    pub fn put(&self, id: i64, fields: Row) -> PutItemFluentBuilder {
        let row = document_key(id).into_iter().chain(fields).collect();
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
    }

    /// Puts under a new id the document that `text` makes of the id.
    pub async fn create(&self, text: impl Fn(i64) -> String) -> Result<i64, StoreError> {
        self.create_with(text, ids::new_id).await
    }

    async fn create_with(
        &self,
        text: impl Fn(i64) -> String,
        new_id: impl Fn() -> i64,
    ) -> Result<i64, StoreError> {
        // Tells a row of this call from another writer's: the SDK repeats a put whose answer was
        // lost, and the repetition then meets its own row.
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
                    let met = refused_by(error)?;
                    if met.get(WRITER) == Some(&writer) {
                        return Ok(id);
                    }
                }
            }
        }
        Err(StoreError::Corrupt(format!(
            "{ID_TRIES} new ids in a row were taken"
        )))
    }

    /// The row `id`. The read is consistent: who has just written sees what was written.
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

    /// A page of the rows behind `after` for which `keep` gives something.
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
        // Each is polled when it is woken itself; a join would poll all of them each time.
        let shards: FuturesUnordered<_> = shards.collect();
        let mut rows = Vec::new();
        // A partition that has more than it gave hides rows behind its last one, so nothing
        // behind that one is in order yet.
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
            // A reserved word.
            .expression_attribute_names("#shard", SHARD)
            .expression_attribute_values(":shard", number(shard))
            // An absent cursor begins at the lowest id.
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

/// Rows in order, and whether there are more behind them.
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
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::dynamodb::testing::{self, Faults};

    async fn documents() -> Documents {
        Documents::new(testing::client(), testing::ITEMS.to_owned())
    }

    fn fields(text: &str) -> Row {
        Row::from([document(text)])
    }

    async fn ids(documents: &Documents, after: Option<i64>, limit: usize) -> (Vec<i64>, bool) {
        let keep = |row: &Row| row::get_number(row, ID).map(Some);
        let page = documents.list(after, limit, keep).await.unwrap();
        (page.rows, page.next.is_some())
    }

    #[tokio::test]
    async fn two_writers_cannot_share_an_id() {
        let documents = documents().await;
        let next = Cell::new(0);
        let colliding = || next.replace(next.get() + 1) / 2;
        let first = documents
            .create_with(|_| "1".to_owned(), colliding)
            .await
            .unwrap();
        let second = documents
            .create_with(|_| "2".to_owned(), colliding)
            .await
            .unwrap();
        assert_eq!((first, second), (0, 1));
        assert!(
            documents
                .create_with(|_| "3".to_owned(), || 0)
                .await
                .is_err()
        );
        let row = documents.get(0).await.unwrap().unwrap();
        assert_eq!(row::get_text(&row, DOCUMENT).unwrap(), "1");
    }

    #[tokio::test]
    async fn a_put_whose_answer_is_lost_leaves_one_row() {
        let faults = Faults::default();
        let documents = Documents::new(testing::faulty(&faults), testing::ITEMS.to_owned());
        faults.lose_answer("PutItem");
        let id = documents.create(|id| id.to_string()).await.unwrap();
        assert_eq!(faults.calls("PutItem"), 2, "the SDK repeats");
        assert_eq!(ids(&documents, None, 10).await, (vec![id], false));
    }

    #[tokio::test]
    async fn a_list_is_in_order_over_all_partitions() {
        let documents = documents().await;
        // Unevenly spread: 5, 9, 13, … are all of one partition.
        let mut all: Vec<i64> = (0..20)
            .map(|n| 4 * n + 1)
            .chain([-7, 2, 6, 40, 1_000])
            .collect();
        for id in &all {
            assert!(
                crate::dynamodb::condition_held(documents.put(*id, fields("{}")).send().await)
                    .unwrap()
            );
        }
        all.sort_unstable();
        for limit in [1, 2, 7, 25, 100] {
            let (mut seen, mut after) = (Vec::<i64>::new(), None);
            loop {
                let (page, more) = ids(&documents, after, limit).await;
                assert!(page.len() <= limit);
                seen.extend(&page);
                after = page.last().copied();
                if !more {
                    break;
                }
            }
            assert_eq!(seen, all, "limit {limit}");
        }
        assert_eq!(ids(&documents, None, 0).await, (vec![], false));
    }

    #[tokio::test]
    async fn a_page_ends_at_its_bytes_and_goes_on_behind_them() {
        let documents = documents().await;
        let large = format!("\"{}\"", "x".repeat(300_000));
        for id in 0..30 {
            documents.put(id, fields(&large)).send().await.unwrap();
        }
        let (first, more) = ids(&documents, None, 1_000).await;
        assert!(more && first.len() < 30, "{}", first.len());
        let (rest, more) = ids(&documents, first.last().copied(), 1_000).await;
        let seen: Vec<i64> = first.into_iter().chain(rest).collect();
        assert_eq!(seen, (0..seen.len() as i64).collect::<Vec<_>>());
        assert_eq!(more, seen.len() < 30);
    }

    #[tokio::test]
    async fn rows_that_are_left_out_do_not_shorten_a_page() {
        let documents = documents().await;
        for id in 0..30 {
            documents.put(id, fields("{}")).send().await.unwrap();
        }
        let keep = |row: &Row| {
            let id: i64 = row::get_number(row, ID)?;
            Ok((id % 10 == 0).then_some(id))
        };
        let page = documents.list(None, 2, keep).await.unwrap();
        assert_eq!((page.rows, page.next), (vec![0, 10], Some(10)));
        let page = documents.list(Some(10), 2, keep).await.unwrap();
        assert_eq!((page.rows, page.next), (vec![20], None));
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_or_null() {
        let object = || {
            let value = crate::json::parse(br#"{"a":[NaN,1.0],"b":{"c":-1e999},"d":"NaN"}"#);
            value.unwrap().into_object().unwrap()
        };
        assert_eq!(to_text(object()), Err(NotFinite));
        let text = to_text_lossy(object());
        assert_eq!(text, r#"{"a":[null,1.0],"b":{"c":null},"d":"NaN"}"#);
    }
}
