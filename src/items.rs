//! Items: any JSON objects.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::http::HttpError;
use crate::json::{Json, Object};

/// The text under which an object is stored and answered: its keys and numbers as Python's decoder
/// and encoder leave them.
///
/// # Errors
/// 422 for a number that is not finite: Python's decoder takes `NaN`, and JSON has no word for it.
pub fn document(object: Object) -> Result<String, HttpError> {
    let json = Json::Object(object);
    json.to_text().map_err(|_| {
        HttpError::new(
            http::StatusCode::UNPROCESSABLE_ENTITY,
            "Out of range float values are not JSON compliant",
        )
    })
}

/// A stored document's text as a part of an answer.
///
/// # Errors
/// When the text is no JSON, which the store never holds.
pub fn raw(document: String) -> Result<Box<RawValue>, HttpError> {
    RawValue::from_string(document).map_err(HttpError::unavailable)
}

/// The answer to a created or replaced item, its keys in the order that clients know.
#[derive(Debug, Serialize)]
pub struct StoredItem {
    /// The item.
    pub item: Box<RawValue>,
    /// Its id.
    pub item_id: i64,
}
