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
    /// The error, in words for the caller.
    pub detail: String,
}

/// Every error of a request.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"detail": [{
    "type": "int_parsing",
    "loc": ["path", "item_id"],
    "msg": "Input should be a valid integer, unable to parse string as an integer",
    "input": "foo",
}]}))]
pub struct HTTPValidationError {
    /// The errors of the path first, then of the query, then of the body.
    pub detail: Vec<FieldError>,
}

/// A page of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// The most rows of the page. A limit over 1,000 counts as 1,000.
    #[param(default = 10)]
    pub limit: Option<i64>,
    /// The start of the page: the cursor in the `Link` header of the previous page.
    pub cursor: Option<String>,
}

/// Something in the path or the query is wrong.
#[derive(Debug, IntoResponses)]
#[response(status = 422, description = "Validation Error")]
pub struct Invalid(pub HTTPValidationError);

/// Something in the path, the query or the body is wrong.
#[derive(Debug, IntoResponses)]
pub enum InvalidBody {
    /// The body is not text, or its JSON is nested too deeply.
    #[response(status = 400, example = json!({"detail": "There was an error parsing the body"}))]
    Unreadable(ErrorDetail),
    /// The body is larger than can be stored.
    #[response(status = 413, example = json!({"detail": "The document is larger than 400 KB"}))]
    TooLarge(ErrorDetail),
    /// Validation Error
    #[response(status = 422)]
    Invalid(HTTPValidationError),
}

/// The answer is larger than a Lambda function can return.
#[derive(Debug, IntoResponses)]
#[response(
    status = 502,
    description = "The answer is larger than 6 MB",
    example = json!({"detail": "The answer is larger than 6 MB"})
)]
pub struct TooLargeAnswer(pub ErrorDetail);

/// The users' upstream gave a wrong answer or no answer.
#[derive(Debug, IntoResponses)]
pub enum UpstreamFailed {
    /// The upstream failed
    #[response(status = 502, example = json!({"detail": "The users' upstream failed"}))]
    Failed(ErrorDetail),
    /// The upstream did not answer in time
    #[response(status = 504, example = json!({"detail": "The users' upstream did not answer in time"}))]
    Late(ErrorDetail),
}

/// A URL was not fetched.
#[derive(Debug, IntoResponses)]
pub enum FetchFailed {
    /// The URL cannot be fetched
    #[response(status = 400, example = json!({"detail": "Only http and https URLs can be fetched"}))]
    Invalid(ErrorDetail),
    /// The URL leads to an address that may not be fetched
    #[response(status = 403, example = json!({"detail": "The URL leads to an address that this service must not fetch"}))]
    Forbidden(ErrorDetail),
    /// The URL answered with an error, without JSON, or not at all
    #[response(status = 502, example = json!({"detail": "The URL answered with status 404"}))]
    Failed(ErrorDetail),
    /// The URL did not answer in time
    #[response(status = 504, example = json!({"detail": "The URL did not answer in time"}))]
    Late(ErrorDetail),
}

/// An AWS service does not answer.
#[derive(Debug, IntoResponses)]
#[response(
    status = 503,
    description = "An AWS service does not answer. A retry may help",
    headers(("Retry-After" = i64, description = "Seconds to wait before a retry")),
    example = json!({"detail": "Service temporarily unavailable"})
)]
pub struct Unavailable(pub ErrorDetail);
