//! Items: any JSON objects.

mod store;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::dynamodb::StoreError;
use crate::json::{Int, Json};

pub use store::ItemStore;

/// An item with its id, the keys in the order that clients know.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"item": {"name": "Foo", "price": 1.5}, "item_id": 243957302321152_i64}))]
pub struct StoredItem {
    /// The item as it was sent.
    #[schema(value_type = Object)]
    item: Box<RawValue>,
    /// The item's id.
    item_id: i64,
}

impl StoredItem {
    /// The item with this JSON text and this id.
    ///
    /// # Errors
    /// When the text is not JSON. The table never holds such a text.
    pub fn new(document: String, item_id: i64) -> Result<StoredItem, StoreError> {
        Ok(StoredItem {
            item: raw(document)?,
            item_id,
        })
    }
}

/// The item, with the request's id and query as the replaced service echoes them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"item_id": 42, "q": "x", "item": {"name": "Foo", "price": 1.5}}))]
pub struct ReadItem {
    /// The id in the request.
    #[schema(value_type = i64)]
    item_id: Json,
    /// The query as it was sent.
    #[schema(required = true)]
    q: Option<String>,
    /// The item, if it exists.
    #[schema(value_type = Option<Object>, required = true)]
    item: Option<Box<RawValue>>,
}

impl ReadItem {
    /// The answer for this id and query. `document` is the stored text, if the item exists.
    ///
    /// # Errors
    /// As [`StoredItem::new`].
    pub fn new(
        item_id: Int,
        q: Option<String>,
        document: Option<String>,
    ) -> Result<ReadItem, StoreError> {
        let item = document.map(raw).transpose()?;
        Ok(ReadItem {
            item_id: Json::Int(item_id),
            q,
            item,
        })
    }
}

fn raw(document: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(document)
        .map_err(|_| StoreError::Corrupt("an item is not JSON".to_owned()))
}
