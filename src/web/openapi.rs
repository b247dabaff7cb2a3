//! The parameters and answers that many routes share in the OpenAPI document.
//!
//! A handler's `utoipa::path` describes the answers of that handler, and names the shared answers by
//! these types. No value of these types is ever built: the types only describe the answers of
//! [`super::HttpError`].

use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::error::FieldError;

/// An error.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"detail": "Not Found"}))]
pub struct ErrorDetail {
    /// What is wrong, in words for the caller.
    pub detail: String,
}

/// All that is wrong with a request.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"detail": [{
    "type": "int_parsing",
    "loc": ["path", "item_id"],
    "msg": "Input should be a valid integer, unable to parse string as an integer",
    "input": "foo",
}]}))]
pub struct HTTPValidationError {
    /// The errors, of the path first, then of the query, then of the body.
    pub detail: Vec<FieldError>,
}

/// A page of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many at most. More than 1,000 are answered with 1,000.
    #[param(default = 10)]
    pub limit: Option<i64>,
    /// Where the page begins: what the `Link` header of the page before says.
    pub cursor: Option<String>,
}

/// Something in the path or the query is wrong.
#[derive(Debug, IntoResponses)]
#[response(status = 422, description = "Validation Error")]
pub struct Invalid(pub HTTPValidationError);

/// Something in the path, the query or the body is wrong.
#[derive(Debug, IntoResponses)]
pub enum InvalidBody {
    /// The body is no text, or its JSON is nested too deeply.
    #[response(status = 400, example = json!({"detail": "There was an error parsing the body"}))]
    Unreadable(ErrorDetail),
    /// The body is larger than can be stored.
    #[response(status = 413, example = json!({"detail": "The document is larger than 400 KB"}))]
    TooLarge(ErrorDetail),
    /// Validation Error
    #[response(status = 422)]
    Invalid(HTTPValidationError),
}

/// The answer is larger than a function can give.
#[derive(Debug, IntoResponses)]
#[response(
    status = 502,
    description = "The answer is larger than 6 MB",
    example = json!({"detail": "The answer is larger than 6 MB"})
)]
pub struct TooLargeAnswer(pub ErrorDetail);

/// The service that users are read through did not answer as it should.
#[derive(Debug, IntoResponses)]
pub enum UpstreamFailed {
    /// The upstream failed
    #[response(status = 502, example = json!({"detail": "The users upstream failed"}))]
    Failed(ErrorDetail),
    /// The upstream did not answer in time
    #[response(status = 504, example = json!({"detail": "The users upstream did not answer in time"}))]
    Late(ErrorDetail),
}

/// A URL was not fetched.
#[derive(Debug, IntoResponses)]
pub enum FetchFailed {
    /// The URL is none that can be fetched
    #[response(status = 400, example = json!({"detail": "the URL's scheme is neither http nor https"}))]
    Invalid(ErrorDetail),
    /// The URL leads to an address that may not be fetched
    #[response(status = 403, example = json!({"detail": "the URL leads to an address that is not public"}))]
    Forbidden(ErrorDetail),
    /// The URL answered with an error, without JSON, or not at all
    #[response(status = 502, example = json!({"detail": "The URL answered with status 404"}))]
    Failed(ErrorDetail),
    /// The URL did not answer in time
    #[response(status = 504, example = json!({"detail": "the URL did not answer in time"}))]
    Late(ErrorDetail),
}

/// A part of AWS does not answer.
#[derive(Debug, IntoResponses)]
#[response(
    status = 503,
    description = "A part that the request needs does not answer; trying again may help",
    headers(("Retry-After" = i64, description = "Seconds after which to try again")),
    example = json!({"detail": "Service temporarily unavailable"})
)]
pub struct Unavailable(pub ErrorDetail);
