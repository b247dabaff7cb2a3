//! Converts API Gateway's event of payload format 2.0 into a `lambda_http` request.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::value::RawValue;

use super::guard::Admitted;

/// Characters that `http` refuses in a URI's query, or that end the query.
const NOT_IN_QUERIES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
/// Characters that must be escaped in a decoded path: the characters of [`NOT_IN_QUERIES`], and
/// characters with a meaning in a URI.
const NOT_IN_PATHS: &AsciiSet = &NOT_IN_QUERIES
    .add(b'?')
    .add(b'%')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'^')
    .add(b'\\');

/// Metadata of a request that `lambda_http`'s request has no field for.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    /// The route that the gateway matched, such as `/items/{item_id}`.
    pub route: &'static str,
    /// The query as the client sent it.
    pub raw_query: String,
    /// The gateway's event; `None` in tests.
    pub event: Option<Box<RawValue>>,
    /// The caller, and whose tasks the caller may see.
    pub admitted: Admitted,
}

/// Makes a request of an event of the gateway.
///
/// `lambda_http`'s own conversion panics on some events: on a query with a space, a quote, `<`, `>` or a
/// control character, on a `Host` that is not a host, and on a body that is not base64. This conversion
/// accepts every event. A body with invalid base64 is kept as text, so that the check of the body
/// answers the caller.
pub fn from_event(event: ApiGatewayV2httpRequest, route: &'static str) -> Request {
    let body = match event.body {
        None => Body::Empty,
        Some(body) if event.is_base64_encoded => match STANDARD.decode(&body) {
            Ok(bytes) => Body::Binary(bytes),
            Err(_) => Body::Text(body),
        },
        Some(body) => Body::Text(body),
    };
    let decode = match event.request_context.apiid {
        Some(_) => decoded_by_gateway,
        None => decoded_here,
    };
    let path = decode(&event.raw_path.unwrap_or_default());
    let raw_query = event.raw_query_string.unwrap_or_default();
    let mut request = Request::new(body);
    *request.method_mut() = event.request_context.http.method.clone();
    *request.headers_mut() = with_cookies(event.headers, event.cookies);
    let domain = event.request_context.domain_name.as_deref();
    *request.uri_mut() = uri(request.headers(), domain, &path, &raw_query);
    // Parsed from the raw query: in the event's own parameters the gateway joins repeated values by
    // commas.
    if !raw_query.is_empty() {
        request = request.with_query_string_parameters(query_of(&raw_query));
    }
    if !event.path_parameters.is_empty() {
        let parameters = event.path_parameters.into_iter();
        let decoded = parameters.map(|(name, text)| (name, decode(&text)));
        request = request.with_path_parameters(decoded.collect::<HashMap<String, String>>());
    }
    let mut request = request
        .with_raw_http_path(path)
        .with_request_context(RequestContext::ApiGatewayV2(event.request_context));
    request.extensions_mut().insert(Metadata {
        route,
        raw_query,
        event: None,
        admitted: Admitted::default(),
    });
    request
}

/// The values of each parameter, in the order of the query.
fn query_of(raw_query: &str) -> HashMap<String, Vec<String>> {
    let mut query: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(raw_query.as_bytes()) {
        let values = query.entry(name.into_owned()).or_default();
        values.push(value.into_owned());
    }
    query
}

/// The headers with `Cookie`. The event has its cookies in a list of their own.
fn with_cookies(mut headers: HeaderMap, cookies: Option<Vec<String>>) -> HeaderMap {
    if let Some(cookies) = cookies
        && let Ok(value) = HeaderValue::from_str(&cookies.join("; "))
    {
        headers.insert(http::header::COOKIE, value);
    }
    headers
}

/// The URI of a request, absolute if the host is known. Escapes characters that the event does not escape.
fn uri(headers: &HeaderMap, domain: Option<&str>, path: &str, query: &str) -> Uri {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut text = format!("{slash}{}", utf8_percent_encode(path, NOT_IN_PATHS));
    if !query.is_empty() {
        text.push('?');
        text.extend(utf8_percent_encode(query, NOT_IN_QUERIES));
    }
    let Ok(path_and_query) = PathAndQuery::try_from(text) else {
        return Uri::default();
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host
        .or(domain)
        .and_then(|host| Authority::try_from(host).ok());
    let mut parts = http::uri::Parts::default();
    if let Some(host) = host {
        let scheme = headers.get("x-forwarded-proto");
        let is_http = scheme.is_some_and(|scheme| scheme.as_bytes() == b"http");
        parts.scheme = Some(if is_http { Scheme::HTTP } else { Scheme::HTTPS });
        parts.authority = Some(host);
    }
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).unwrap_or_default()
}

/// A path of API Gateway, which decodes paths. Some emulators leave an escaped percent sign (`%25`),
/// which is decoded here. A path of API Gateway has `%25` only if the client escaped `%` three times.
fn decoded_by_gateway(text: &str) -> String {
    text.replace("%25", "%")
}

/// A path of an event without an API's id. Such an event comes from the router of `cargo lambda watch`,
/// which does not decode paths.
fn decoded_here(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
