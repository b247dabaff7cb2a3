//! Checks the head of an answer, and reads its headers.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderValue, LOCATION, TRANSFER_ENCODING};
use http::{Response, StatusCode};

use super::MAX_HEAD;
use super::error::FetchError;

/// Refuses a head that is too large, and a head that leaves the form of the body open.
pub(super) fn check<B>(response: &Response<B>) -> Result<(), FetchError> {
    let headers = response.headers();
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    if sizes.sum::<usize>() > MAX_HEAD {
        return Err(FetchError::HeadersTooLarge);
    }
    // No request asks for another protocol.
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || !is_plain_or_chunked(headers) {
        return Err(FetchError::Protocol);
    }
    Ok(())
}

/// Whether the client decodes the body. The client decodes `chunked` once, and passes any other
/// transfer coding on as the body.
fn is_plain_or_chunked(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TRANSFER_ENCODING).iter();
    let mut codings = values
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty());
    let first = codings.next();
    let is_known = |coding: &[u8]| {
        coding.eq_ignore_ascii_case(b"chunked") || coding.eq_ignore_ascii_case(b"identity")
    };
    first.is_none_or(is_known) && codings.next().is_none()
}

/// The target of a redirect.
pub(super) fn location<B>(response: &Response<B>) -> Option<Cow<'_, str>> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers().get(LOCATION).filter(|_| is_redirect)?;
    Some(text(location))
}

/// The value of a header as text: UTF-8, or else Latin-1, the encoding of headers in older HTTP.
pub(super) fn text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}
