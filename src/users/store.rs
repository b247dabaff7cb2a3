//! The table of users.

use aws_sdk_dynamodb::Client;

use crate::clock::now_ms;
use crate::documents::{Documents, Page, document, document_key, document_of};
use crate::dynamodb::row::{self, EXPIRES_AT, ID, Row, number};
use crate::dynamodb::{StoreError, batch_get, condition_held};

/// The end of a copy's freshness, in milliseconds since the Unix epoch. A row without this attribute
/// was written by this service and never goes stale.
const FRESH_UNTIL: &str = "fresh_until";
/// Marks a user that was deleted in this service. The upstream may still have the user.
const DELETED: &str = "deleted";
/// How long a stale copy is kept for failures of the upstream.
const KEEP_STALE_SECONDS: u64 = 7 * 24 * 3600;

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredUser {
    /// Written by this service: the table is the only source.
    Own(String),
    /// A copy of an upstream's user.
    Copy {
        /// The user's JSON text.
        document: String,
        /// Whether the copy may be used without a call to the upstream.
        fresh: bool,
    },
    /// Deleted in this service: the upstream is not asked again.
    Deleted,
}

/// Users: JSON objects of this service, and copies of the upstream's users.
#[derive(Debug, Clone)]
pub struct UserStore(Documents);

impl UserStore {
    /// The users in `table`.
    pub fn new(client: Client, table: String) -> UserStore {
        UserStore(Documents::new(client, table))
    }

    /// Stores the user `text(id)` under a new id.
    pub async fn create(&self, text: impl Fn(i64) -> String) -> Result<i64, StoreError> {
        self.0.create(text).await
    }

    /// The row of one user.
    pub async fn get(&self, id: i64) -> Result<Option<StoredUser>, StoreError> {
        let row = self.0.get(id).await?;
        Ok(row.map(|row| stored(&row)).transpose()?.flatten())
    }

    /// The rows of several users, in any order.
    pub async fn get_many(&self, ids: &[i64]) -> Result<Vec<(i64, StoredUser)>, StoreError> {
        let keys = ids.iter().map(|id| document_key(*id)).collect();
        let rows = batch_get(self.0.client(), self.0.table(), keys, true).await?;
        let mut users = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row::get_number(row, ID)?;
            users.extend(stored(row)?.map(|user| (id, user)));
        }
        Ok(users)
    }

    /// Stores a copy of an upstream's user, unless this service has written or deleted the user.
    pub async fn keep_copy(&self, id: i64, user: &str, fresh_ms: u64) -> Result<(), StoreError> {
        let fresh_until = now_ms().saturating_add(fresh_ms);
        let expires_at = fresh_until / 1000 + KEEP_STALE_SECONDS;
        let fields = Row::from([
            document(user),
            (FRESH_UNTIL.to_owned(), number(fresh_until)),
            (EXPIRES_AT.to_owned(), number(expires_at)),
        ]);
        let put = self.0.put(id, fields);
        let put =
            put.condition_expression("attribute_not_exists(id) OR attribute_exists(fresh_until)");
        condition_held(put.send().await).map(drop)
    }

    /// Deletes the copy of a user that the upstream no longer has.
    pub async fn forget_copy(&self, id: i64) -> Result<(), StoreError> {
        let delete = self.0.client().delete_item().table_name(self.0.table());
        let delete = delete
            .set_key(Some(document_key(id)))
            .condition_expression("attribute_exists(fresh_until)");
        condition_held(delete.send().await).map(drop)
    }

    /// Writes a user that exists in the table or upstream. From then on the table is the user's only
    /// source. `false` if another request has deleted the user.
    pub async fn replace(&self, id: i64, user: &str) -> Result<bool, StoreError> {
        let put = self.0.put(id, Row::from([document(user)]));
        let put = put.condition_expression("attribute_not_exists(#deleted)");
        condition_held(
            put.expression_attribute_names("#deleted", DELETED)
                .send()
                .await,
        )
    }

    /// Marks a user as deleted that exists in the table or upstream. The mark keeps the upstream's user
    /// from being read again. `false` if another request has deleted the user first.
    pub async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let mark = (
            DELETED.to_owned(),
            aws_sdk_dynamodb::types::AttributeValue::Bool(true),
        );
        let put = self.0.put(id, Row::from([mark]));
        let put = put.condition_expression("attribute_not_exists(#deleted)");
        condition_held(
            put.expression_attribute_names("#deleted", DELETED)
                .send()
                .await,
        )
    }

    /// A page of users.
    pub async fn list(&self, after: Option<i64>, limit: usize) -> Result<Page<String>, StoreError> {
        let alive = |row: &Row| match stored(row)? {
            Some(StoredUser::Own(document) | StoredUser::Copy { document, .. }) => {
                Ok(Some(document))
            }
            Some(StoredUser::Deleted) | None => Ok(None),
        };
        self.0.list(after, limit, alive).await
    }
}

/// The user in a row; `None` for an expired row.
fn stored(row: &Row) -> Result<Option<StoredUser>, StoreError> {
    let now = now_ms();
    if row::is_expired(row, now)? {
        return Ok(None);
    }
    if row.contains_key(DELETED) {
        return Ok(Some(StoredUser::Deleted));
    }
    let document = document_of(row)?;
    Ok(Some(match row::find_number::<u64>(row, FRESH_UNTIL)? {
        None => StoredUser::Own(document),
        Some(until) => StoredUser::Copy {
            document,
            fresh: now < until,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::testing;

    fn users() -> UserStore {
        UserStore::new(testing::client(), testing::USERS.to_owned())
    }

    #[tokio::test]
    async fn a_copy_is_fresh_and_then_stale() {
        let users = users();
        users.keep_copy(1, "{}", 60_000).await.unwrap();
        let copy = |fresh| StoredUser::Copy {
            document: "{}".to_owned(),
            fresh,
        };
        assert_eq!(users.get(1).await.unwrap(), Some(copy(true)));
        users.keep_copy(1, "{}", 0).await.unwrap();
        assert_eq!(users.get(1).await.unwrap(), Some(copy(false)));
        users.forget_copy(1).await.unwrap();
        assert_eq!(users.get(1).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_copy_never_overwrites_a_user_of_this_service() {
        let users = users();
        assert!(users.replace(1, r#"{"own":1}"#).await.unwrap());
        users.keep_copy(1, "{}", 60_000).await.unwrap();
        users.forget_copy(1).await.unwrap();
        assert_eq!(
            users.get(1).await.unwrap(),
            Some(StoredUser::Own(r#"{"own":1}"#.to_owned()))
        );
    }

    #[tokio::test]
    async fn a_deleted_user_stays_deleted() {
        let users = users();
        users.keep_copy(1, "{}", 60_000).await.unwrap();
        assert!(users.delete(1).await.unwrap());
        assert!(!users.delete(1).await.unwrap());
        assert!(!users.replace(1, "{}").await.unwrap());
        users.keep_copy(1, "{}", 60_000).await.unwrap();
        assert_eq!(users.get(1).await.unwrap(), Some(StoredUser::Deleted));
        assert_eq!(
            users.list(None, 10).await.unwrap().rows,
            Vec::<String>::new()
        );
    }

    #[tokio::test]
    async fn more_users_than_one_batch_are_read() {
        let users = users();
        for id in 0..130 {
            users.keep_copy(id, &id.to_string(), 60_000).await.unwrap();
        }
        let ids: Vec<i64> = (0..140).collect();
        let mut found: Vec<i64> = users
            .get_many(&ids)
            .await
            .unwrap()
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        found.sort_unstable();
        assert_eq!(found, (0..130).collect::<Vec<_>>());
    }
}
