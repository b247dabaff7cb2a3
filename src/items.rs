//! Items: any JSON objects.

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::HttpError;
use crate::json::{Int, Json, Object};

/// The text under which an object is stored, sent and answered: its keys and numbers as Python's
/// decoder and encoder leave them.
///
/// # Errors
/// 422 for a number that is not finite: Python's decoder takes `NaN`, and JSON has no word for it.
pub fn document(object: Object) -> Result<String, HttpError> {
    Json::Object(object).to_text().map_err(|_| {
        let detail = "Out of range float values are not JSON compliant";
        HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

/// As [`document`] for what is worked on and never echoed: a number that is not finite becomes null.
pub fn document_lossy(object: Object) -> String {
    let mut value = Json::Object(object);
    if !value.is_finite() {
        value.replace_not_finite();
    }
    value.to_string()
}

/// A document's text as a part of an answer.
///
/// # Errors
/// When the text is no JSON, which the store never holds.
pub fn raw(document: String) -> Result<Box<RawValue>, HttpError> {
    RawValue::from_string(document).map_err(HttpError::unavailable)
}

/// An item with its id, the keys in the order that clients know.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"item": {"name": "Foo", "price": 1.5}, "item_id": 243957302321152_i64}))]
pub struct StoredItem {
    /// The item as it was sent.
    #[schema(value_type = Object)]
    item: Box<RawValue>,
    /// Its id.
    item_id: i64,
}

impl StoredItem {
    /// The item of this text under this id.
    ///
    /// # Errors
    /// As [`raw`].
    pub fn new(document: String, item_id: i64) -> Result<StoredItem, HttpError> {
        Ok(StoredItem {
            item: raw(document)?,
            item_id,
        })
    }
}

/// What was asked for, as the replaced service echoes it, and the item found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"item_id": 42, "q": "x", "item": {"name": "Foo", "price": 1.5}}))]
pub struct ReadItem {
    /// The id that was asked for.
    #[schema(value_type = i64)]
    item_id: Json,
    /// The query as it was sent.
    #[schema(required = true)]
    q: Option<String>,
    /// The item, if there is one.
    #[schema(value_type = Option<Object>, required = true)]
    item: Option<Box<RawValue>>,
}

impl ReadItem {
    /// The answer for this id and query where `document` is stored.
    ///
    /// # Errors
    /// As [`raw`].
    pub fn new(
        item_id: Int,
        q: Option<String>,
        document: Option<String>,
    ) -> Result<ReadItem, HttpError> {
        let item = document.map(raw).transpose()?;
        Ok(ReadItem {
            item_id: Json::Int(item_id),
            q,
            item,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn what_json_cannot_say_is_refused_or_null() {
        let object = || {
            let value = parse(br#"{"a":[NaN,1.0],"b":{"c":-1e999},"d":"NaN"}"#).unwrap();
            value.into_object().unwrap()
        };
        assert_eq!(document(object()).unwrap_err().status(), 422);
        let text = document_lossy(object());
        assert_eq!(text, r#"{"a":[null,1.0],"b":{"c":null},"d":"NaN"}"#);
    }
}
