//! The table of items.

use aws_sdk_dynamodb::Client;

use crate::documents::{Documents, Page, document, document_key, document_of};
use crate::dynamodb::row::{self, ID, Row};
use crate::dynamodb::{StoreError, call_error, condition_held};

/// Items: any JSON objects, stored as JSON text.
#[derive(Debug, Clone)]
pub struct ItemStore(Documents);

impl ItemStore {
    /// The items in `table`.
    pub fn new(client: Client, table: String) -> ItemStore {
        ItemStore(Documents::new(client, table))
    }

    /// Stores an item under a new id.
    pub async fn create(&self, item: &str) -> Result<i64, StoreError> {
        self.0.create(|_| item.to_owned()).await
    }

    /// The item's JSON text.
    pub async fn get(&self, id: i64) -> Result<Option<String>, StoreError> {
        let row = self.0.get(id).await?;
        row.as_ref().map(document_of).transpose()
    }

    /// Replaces an item; `false` if no such item exists.
    pub async fn replace(&self, id: i64, item: &str) -> Result<bool, StoreError> {
        let put = self.0.put(id, Row::from([document(item)]));
        condition_held(
            put.condition_expression("attribute_exists(id)")
                .send()
                .await,
        )
    }

    /// Deletes an item; `false` if no such item exists. If an answer is lost, the repeated call also
    /// returns `false`, although the first call deleted the item.
    pub async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let delete = self
            .0
            .client()
            .delete_item()
            .table_name(self.0.table())
            .set_key(Some(document_key(id)))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld);
        let answer = delete.send().await.map_err(call_error)?;
        Ok(answer.attributes.is_some())
    }

    /// A page of items, each with its id.
    pub async fn list(
        &self,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page<(i64, String)>, StoreError> {
        let pair = |row: &Row| Ok(Some((row::get_number(row, ID)?, document_of(row)?)));
        self.0.list(after, limit, pair).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::testing;

    #[tokio::test]
    async fn an_item_is_created_read_replaced_and_deleted() {
        let items = ItemStore::new(testing::client(), testing::ITEMS.to_owned());
        let id = items.create(r#"{"b":1.0,"a":[]}"#).await.unwrap();
        assert_eq!(
            items.get(id).await.unwrap().as_deref(),
            Some(r#"{"b":1.0,"a":[]}"#)
        );
        assert!(items.replace(id, "{}").await.unwrap());
        let page = items.list(None, 10).await.unwrap();
        assert_eq!(
            page,
            Page {
                rows: vec![(id, "{}".to_owned())],
                next: None
            }
        );
        assert!(items.delete(id).await.unwrap());
        assert!(!items.delete(id).await.unwrap());
        assert!(!items.replace(id, "{}").await.unwrap());
        assert_eq!(items.get(id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_item_over_400_kb_is_too_large() {
        let items = ItemStore::new(testing::client(), testing::ITEMS.to_owned());
        let error = items.create(&"x".repeat(410 * 1024)).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLarge), "{error:?}");
    }
}
