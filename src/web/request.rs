//! One HTTP request: `lambda_http`'s, made of API Gateway's event of payload format 2.0.

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

use super::guard::Admitted;

/// Characters that `http` refuses in a URI's query, or that end the query.
const NOT_IN_QUERIES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
/// Characters that must be escaped in a path that is decoded: those of a query, and those with a
/// meaning of their own.
const NOT_IN_PATHS: &AsciiSet = &NOT_IN_QUERIES
    .add(b'?')
    .add(b'%')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'^')
    .add(b'\\');

/// The parts of an event that `lambda_http` has no place for.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival {
    /// The route that the gateway matched, such as `/items/{item_id}`.
    pub route: &'static str,
    /// The query as the client sent it.
    pub raw_query: String,
    /// Who makes the request, and whose tasks may be seen.
    pub admitted: Admitted,
}

/// Makes a request of the gateway's event.
///
/// `lambda_http` has a conversion of its own, which panics on some events: on a query with a space, a
/// quote, `<`, `>` or a control character, on a `Host` that is not a host, and on a body that is not
/// base64. This conversion accepts every event. A body that claims to be base64 and is not is kept as
/// text, so that the check of the body answers the caller.
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
    // Not the event's own parameters: in them the gateway joins repeated values by commas.
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
    request.extensions_mut().insert(Arrival {
        route,
        raw_query,
        admitted: Admitted::default(),
    });
    request
}

/// The values of each parameter, in order.
fn query_of(raw_query: &str) -> HashMap<String, Vec<String>> {
    let mut query: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(raw_query.as_bytes()) {
        let values = query.entry(name.into_owned()).or_default();
        values.push(value.into_owned());
    }
    query
}

/// The headers with `Cookie`, which the event holds in a list of its own.
fn with_cookies(mut headers: HeaderMap, cookies: Option<Vec<String>>) -> HeaderMap {
    if let Some(cookies) = cookies
        && let Ok(value) = HeaderValue::from_str(&cookies.join("; "))
    {
        headers.insert(http::header::COOKIE, value);
    }
    headers
}

/// The request's URI: absolute if the host is known, and escaped where an event is not.
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

/// API Gateway decodes paths before it invokes a function. Emulators may leave an escaped percent
/// sign as it is; a path of API Gateway's has one only if the client escaped it three times.
fn decoded_by_gateway(text: &str) -> String {
    text.replace("%25", "%")
}

/// An event without an API's id comes from the watcher's own router, which does not decode.
fn decoded_here(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
