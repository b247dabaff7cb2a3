//! An answer: status, headers, and a body of JSON or nothing.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::header::{CONTENT_TYPE, HeaderName, IntoHeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The most bytes of a body as it stands in the function's answer, where it is a JSON string with
/// each quote escaped. Lambda carries 6 MB; 8 KiB of them are left for the status and the headers.
const MAX_ESCAPED_BODY: usize = 6 * 1024 * 1024 - 8 * 1024;
/// The most bytes that one byte of a body becomes as a part of a JSON string (`\u001f`).
const MAX_ESCAPE: usize = 6;

/// What is answered to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Content,
}

/// What an answer's body is made of.
#[derive(Debug, Clone, PartialEq)]
enum Content {
    Text(String),
    /// Anything else; it goes through the gateway in base 64.
    Bytes(Vec<u8>),
}

impl Answer {
    /// 200 with `value` as compact JSON.
    pub fn ok(value: &impl Serialize) -> Answer {
        Answer::json(StatusCode::OK, value)
    }

    /// A status with `value` as compact JSON. A value that cannot be JSON, such as a map whose
    /// keys are not strings, is a mistake in the program and becomes a 500.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
        match serde_json::to_string(value) {
            Ok(body) => Answer::raw(status, body),
            Err(error) => {
                tracing::error!(%error, "the answer is not serializable");
                Answer::internal_error()
            }
        }
    }

    /// A status with a text that is JSON already.
    pub fn raw(status: StatusCode, json: String) -> Answer {
        Answer::empty(status)
            .with(CONTENT_TYPE, JSON)
            .with_body(json)
    }

    /// 200 with an array of texts that are JSON already.
    pub fn raw_list(items: &[String]) -> Answer {
        Answer::raw(StatusCode::OK, format!("[{}]", items.join(",")))
    }

    /// 200 with a text of this type.
    pub fn text(kind: &'static str, text: String) -> Answer {
        Answer::empty(StatusCode::OK)
            .with(CONTENT_TYPE, HeaderValue::from_static(kind))
            .with_body(text)
    }

    /// 200 with bytes of this type.
    pub fn bytes(kind: &'static str, bytes: Vec<u8>) -> Answer {
        Answer {
            body: Content::Bytes(bytes),
            ..Answer::text(kind, String::new())
        }
    }

    /// What `HEAD` is answered: the same without the body.
    pub fn without_body(self) -> Answer {
        self.with_body(String::new())
    }

    /// A status without a body.
    pub fn empty(status: StatusCode) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Content::Text(String::new()),
        }
    }

    /// 204. FastAPI names a content type all the same.
    pub fn no_content() -> Answer {
        Answer::empty(StatusCode::NO_CONTENT).with(CONTENT_TYPE, JSON)
    }

    /// What Starlette answers when a handler fails unexpectedly.
    pub fn internal_error() -> Answer {
        Answer::empty(StatusCode::INTERNAL_SERVER_ERROR)
            .with(CONTENT_TYPE, TEXT)
            .with_body("Internal Server Error".to_owned())
    }

    /// Adds a header.
    pub fn with(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Answer {
        self.headers.append(name, value);
        self
    }

    /// Adds a header whose value is made of text; a text that cannot be a header is left out.
    pub fn with_text(self, name: HeaderName, value: &str) -> Answer {
        match HeaderValue::from_str(value) {
            Ok(value) => self.with(name, value),
            Err(_) => self,
        }
    }

    /// Adds `Location`.
    pub fn at(self, path: &str) -> Answer {
        self.with_text(LOCATION, path)
    }

    fn with_body(mut self, body: String) -> Answer {
        self.body = Content::Text(body);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body's text; empty where it is none.
    pub fn body(&self) -> &str {
        match &self.body {
            Content::Text(text) => text,
            Content::Bytes(_) => "",
        }
    }

    /// Whether Lambda can carry this answer.
    pub(super) fn fits_lambda(&self) -> bool {
        let escaped = |byte: u8| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => MAX_ESCAPE,
            _ => 1,
        };
        match &self.body {
            // Only a large body is worth counting.
            Content::Text(text) => {
                text.len() <= MAX_ESCAPED_BODY / MAX_ESCAPE
                    || text.bytes().map(escaped).sum::<usize>() <= MAX_ESCAPED_BODY
            }
            // In base 64 three bytes are four.
            Content::Bytes(bytes) => bytes.len() <= MAX_ESCAPED_BODY / 4 * 3,
        }
    }
}

impl From<Answer> for ApiGatewayV2httpResponse {
    fn from(answer: Answer) -> ApiGatewayV2httpResponse {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = answer.status.as_u16().into();
        response.headers = answer.headers;
        response.body = match answer.body {
            Content::Text(text) if text.is_empty() => None,
            Content::Text(text) => Some(Body::Text(text)),
            Content::Bytes(bytes) => {
                response.is_base64_encoded = true;
                Some(Body::Binary(bytes))
            }
        };
        response
    }
}
