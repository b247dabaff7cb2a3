//! The JSON of a fetched URL, for the answer of a route.

use super::error::HttpError;
use crate::fetch::Fetched;
use crate::json::{self, Json};

/// The JSON of a fetched answer.
///
/// # Errors
/// 502 for a status other than 2xx, and for a body that is not JSON.
pub fn json_of(fetched: &Fetched) -> Result<Json, HttpError> {
    if !(200..300).contains(&fetched.status) {
        return Err(HttpError::bad_gateway(format!(
            "The URL answered with status {}",
            fetched.status
        )));
    }
    json::parse(&fetched.body).map_err(|_| HttpError::bad_gateway("The URL's answer is not JSON"))
}
