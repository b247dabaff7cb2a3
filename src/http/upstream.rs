//! What a fetched answer becomes in an answer of ours.

use http::StatusCode;

use super::HttpError;
use crate::fetch::{FetchError, Fetched};
use crate::json::{self, Json};

impl From<FetchError> for HttpError {
    fn from(error: FetchError) -> HttpError {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        HttpError::new(status, error.to_string())
    }
}

/// The JSON of a fetched answer.
///
/// # Errors
/// 502 for a status that is no success, and for a body that is no JSON.
pub fn json_of(fetched: &Fetched) -> Result<Json, HttpError> {
    if !(200..300).contains(&fetched.status) {
        return Err(HttpError::bad_gateway(format!(
            "The URL answered with status {}",
            fetched.status
        )));
    }
    json::parse(&fetched.body).map_err(|_| HttpError::bad_gateway("The URL's answer is not JSON"))
}
