//! Reads the body of an answer within its limits.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use hyper::body::Incoming;
use tokio::time::timeout;
use url::Url;

use super::body::Body;
use super::error::FetchError;
use super::head::text;
use crate::clock::now_ms;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The URL that answered, after redirects, without a fragment.
    pub url: String,
    /// The HTTP status, of any class.
    pub status: u16,
    /// The `Content-Type`, if the answer has one.
    pub content_type: Option<String>,
    /// How long the server asks the client to wait (`Retry-After`), from the receipt of the answer.
    pub retry_after: Option<Duration>,
    /// The body, decompressed.
    pub body: Bytes,
}

/// An answer whose body is read piece by piece. Dropping the download ends the transfer.
pub struct Download {
    /// The URL that answers, after redirects, without a fragment.
    pub url: String,
    /// The HTTP status, of any class.
    pub status: u16,
    /// The `Content-Type`, if the answer has one.
    pub content_type: Option<String>,
    /// The body's length in bytes, if the answer announces the length and is not compressed.
    pub content_length: Option<u64>,
    /// How long the server asks the client to wait (`Retry-After`), from the receipt of the answer.
    pub retry_after: Option<Duration>,
    /// `None` after the end of the body, and after an error.
    body: Option<Body>,
    read: u64,
    max_body: u64,
    idle_timeout: Duration,
}

impl Download {
    pub(super) fn new(
        url: Url,
        response: Response<Incoming>,
        max_body: u64,
        idle_timeout: Duration,
    ) -> Result<Self, FetchError> {
        let (head, body) = response.into_parts();
        let body = Body::new(&head.headers, body)?;
        check_announced(&body, max_body)?;
        Ok(Self {
            url: url.into(),
            status: head.status.as_u16(),
            content_type: content_type(&head.headers),
            retry_after: retry_after(&head.headers, now_ms()),
            content_length: body.length(),
            body: Some(body),
            read: 0,
            max_body,
            idle_timeout,
        })
    }

    /// The next piece of the body, decompressed, or `None` at its end and after an error.
    ///
    /// # Errors
    ///
    /// [`FetchError::Timeout`] when the next piece takes longer than
    /// [`Limits::idle_timeout`](super::Limits::idle_timeout), [`FetchError::BodyTooLarge`] when the
    /// body exceeds the limit given to [`Fetcher::open`](super::Fetcher::open), or the error that
    /// ended the transfer.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        // The body is put back only after a good piece: an error or a dropped call ends the download.
        let Some(mut body) = self.body.take() else {
            return Ok(None);
        };
        let next = timeout(self.idle_timeout, body.piece()).await;
        let Some(piece) = next.map_err(|_| FetchError::Timeout)?? else {
            return Ok(None);
        };
        self.read = self.read.saturating_add(piece.len() as u64);
        if self.read > self.max_body {
            return Err(FetchError::BodyTooLarge(self.max_body));
        }
        self.body = Some(body);
        Ok(Some(piece))
    }
}

/// Reads the whole body, and stops as soon as the body exceeds `max_body` bytes.
pub(super) async fn read(
    url: Url,
    response: Response<Incoming>,
    max_body: usize,
) -> Result<Fetched, FetchError> {
    let limit = max_body as u64;
    let (head, body) = response.into_parts();
    let mut source = Body::new(&head.headers, body)?;
    check_announced(&source, limit)?;
    let mut body = Vec::new();
    while let Some(piece) = source.piece().await? {
        if piece.len() > max_body - body.len() {
            return Err(FetchError::BodyTooLarge(limit));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Fetched {
        url: url.into(),
        status: head.status.as_u16(),
        content_type: content_type(&head.headers),
        retry_after: retry_after(&head.headers, now_ms()),
        body: body.into(),
    })
}

/// Refuses a body whose `Content-Length` exceeds the limit. The bytes that arrive are counted all the
/// same, since `Content-Length` may be absent.
fn check_announced(body: &Body, limit: u64) -> Result<(), FetchError> {
    match body.length() {
        Some(length) if length > limit => Err(FetchError::BodyTooLarge(limit)),
        _ => Ok(()),
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    Some(text(headers.get(CONTENT_TYPE)?).into_owned())
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let date = u64::try_from(date.as_millisecond()).ok()?;
    Some(Duration::from_millis(date.saturating_sub(now_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, 1_900_000_000_000).map(|wait| wait.as_secs())
        };
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("Sun, 17 Mar 2030 17:47:40 GMT"), Some(60));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0), "the past");
        assert_eq!(after("soon"), None);
        assert_eq!(after("-5"), None);
    }
}
