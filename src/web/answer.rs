//! Answers: `lambda_http` responses with a status, headers, and a body of JSON, text or bytes, or
//! without a body.

use http::header::{CONTENT_TYPE, HeaderName, IntoHeaderName, LOCATION};
use http::{HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The most bytes of a body in the function's response, where the body is a JSON string with each
/// quote escaped. Lambda carries 6 MB, of which 8 KiB remain for the status and the headers.
const MAX_ESCAPED_BODY: usize = 6 * 1024 * 1024 - 8 * 1024;
/// The length of the longest escape of a byte in a JSON string (`\u001f`).
const MAX_ESCAPE: usize = 6;

/// 200 with `value` as compact JSON.
pub fn ok(value: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, value)
}

/// A status with `value` as compact JSON. A value that JSON cannot express, such as a map with keys that
/// are not strings, is a bug and becomes a 500.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(body) => raw(status, body),
        Err(error) => {
            tracing::error!(%error, "the answer is not serializable");
            internal_error()
        }
    }
}

/// A status with a text that is JSON already.
pub fn raw(status: StatusCode, json: String) -> Response<Body> {
    with_body(status, JSON, json.into())
}

/// 200 with an array of texts that are JSON already.
pub fn raw_list(items: &[String]) -> Response<Body> {
    raw(StatusCode::OK, format!("[{}]", items.join(",")))
}

/// 200 with a text of this content type.
pub fn text(content_type: &'static str, text: String) -> Response<Body> {
    let content_type = HeaderValue::from_static(content_type);
    with_body(StatusCode::OK, content_type, text.into())
}

/// A status with a text for people.
pub fn plain(status: StatusCode, text: String) -> Response<Body> {
    with_body(status, TEXT, text.into())
}

/// 200 with bytes of this content type.
pub fn bytes(content_type: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let content_type = HeaderValue::from_static(content_type);
    with_body(StatusCode::OK, content_type, bytes.into())
}

/// A status without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// 204, with a content type as in FastAPI.
pub fn no_content() -> Response<Body> {
    empty(StatusCode::NO_CONTENT).with(CONTENT_TYPE, JSON)
}

/// The answer of Starlette to an unexpected failure of a handler.
pub fn internal_error() -> Response<Body> {
    let body = "Internal Server Error".into();
    with_body(StatusCode::INTERNAL_SERVER_ERROR, TEXT, body)
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = empty(status).with(CONTENT_TYPE, content_type);
    *response.body_mut() = body;
    response
}

/// Whether a body fits into Lambda's response.
pub(super) fn fits_lambda(body: &Body) -> bool {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => MAX_ESCAPE,
        _ => 1,
    };
    match body {
        // The escapes are counted in a large body only.
        Body::Text(text) => {
            text.len() <= MAX_ESCAPED_BODY / MAX_ESCAPE
                || text.bytes().map(escaped).sum::<usize>() <= MAX_ESCAPED_BODY
        }
        // In base64 three bytes become four.
        body => body.len() <= MAX_ESCAPED_BODY / 4 * 3,
    }
}

/// Methods to complete a response.
pub trait ResponseExt {
    /// Adds a header.
    fn with(self, name: impl IntoHeaderName, value: HeaderValue) -> Self;

    /// Adds a header with a text as its value, unless the text has characters that no header may have.
    fn with_text(self, name: HeaderName, value: &str) -> Self;

    /// Adds `Location`.
    fn at(self, path: &str) -> Self;

    /// The answer to `HEAD`: the same response without its body.
    fn without_body(self) -> Self;
}

impl ResponseExt for Response<Body> {
    fn with(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Self {
        self.headers_mut().append(name, value);
        self
    }

    fn with_text(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    fn at(self, path: &str) -> Self {
        self.with_text(LOCATION, path)
    }

    fn without_body(mut self) -> Self {
        *self.body_mut() = Body::Empty;
        self
    }
}

/// For tests: the text of a response's body, empty without a body.
#[cfg(test)]
pub(crate) fn text_of(response: &Response<Body>) -> &str {
    match response.body() {
        Body::Text(text) => text,
        _ => "",
    }
}
