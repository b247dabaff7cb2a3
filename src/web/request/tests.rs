use lambda_http::RequestExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dynamodb::testing::cases;
use crate::web::Extract;

fn event(api: Option<&str>, path: &str, parameter: &str) -> Request {
    let mut event = ApiGatewayV2httpRequest::default();
    event.raw_path = Some(path.to_owned());
    event.request_context.apiid = api.map(str::to_owned);
    event.path_parameters = [("item_id".to_owned(), parameter.to_owned())].into();
    from_event(event, "/items/{item_id}")
}

#[test]
fn a_path_is_decoded_once() {
    let text = |api, parameter| {
        let request = event(api, &format!("/items/{parameter}"), parameter);
        let text = request.path_text("item_id").to_owned();
        assert_eq!(request.path(), format!("/items/{text}"));
        text
    };
    // API Gateway has decoded the path. An emulator may leave an escaped percent sign.
    assert_eq!(text(Some("api"), "a b%35ä"), "a b%35ä");
    assert_eq!(text(Some("api"), "%2535"), "%35");
    // `cargo lambda watch` does not decode.
    assert_eq!(text(None, "a%20b%2535%ff"), "a b%35\u{fffd}");
}

#[test]
fn the_uri_has_the_host_path_and_query_of_the_event() {
    let uri = |headers: Value, path: &str, query: &str| {
        let event = json!({
            "headers": headers,
            "rawPath": path,
            "rawQueryString": query,
            "requestContext": {"apiId": "api", "http": {"method": "GET"}, "domainName": "a.example"},
        });
        from_event(serde_json::from_value(event).unwrap(), "/")
            .uri()
            .to_string()
    };
    assert_eq!(uri(json!({}), "/a b", "q=x"), "https://a.example/a%20b?q=x");
    let local = json!({"host": "127.0.0.1:9000", "x-forwarded-proto": "http"});
    assert_eq!(
        uri(local, "/a/../b#?%\\", ""),
        "http://127.0.0.1:9000/a/../b%23%3F%25%5C"
    );
    let no_host = json!({"host": "no host"});
    assert_eq!(uri(no_host, "x", "a=\"<b>"), "/x?a=%22%3Cb%3E");
}

#[test]
fn lambda_http_finds_every_part_of_a_request() {
    let event = json!({
        "headers": {"x-a": "1"},
        "cookies": ["a=1", "b=2"],
        "rawPath": "/items/5",
        "rawQueryString": "q=1&q=2",
        "pathParameters": {"item_id": "5"},
        "requestContext": {"apiId": "api", "stage": "prod", "http": {"method": "PUT"}},
        "body": "eA==",
        "isBase64Encoded": true,
    });
    let request = from_event(serde_json::from_value(event).unwrap(), "/items/{item_id}");
    assert_eq!(request.method(), "PUT");
    assert_eq!(request.headers()["cookie"], "a=1; b=2");
    assert_eq!(request.raw_http_path(), "/items/5");
    assert_eq!(request.path_parameters().first("item_id"), Some("5"));
    let query = request.query_string_parameters();
    assert_eq!(query.all("q"), Some(vec!["1", "2"]));
    assert!(request.request_context_ref().is_some());
    assert_eq!(request.body().as_ref(), b"x");
}

/// Any text, and texts of characters that break parsers.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~\\r\\n\\t%?#&=+/\\\\.:@<>\"']{0,40}",
        "(%[0-9a-fA-F]{2}|/|\\.\\.|[a-z]){0,12}",
    ]
}

/// A request context in which every part may be absent or odd.
fn any_context() -> impl Strategy<Value = Value> {
    let maybe = || prop::option::of(text());
    let method = prop_oneof![Just("GET"), Just("POST"), Just("X")];
    let parts = (maybe(), maybe(), maybe(), method);
    parts.prop_map(|(api, stage, domain, method)| {
        json!({
            "apiId": api,
            "stage": stage,
            "domainName": domain,
            "http": {"method": method},
        })
    })
}

/// Some headers, and perhaps a `Host` of any text.
fn any_headers() -> impl Strategy<Value = Value> {
    let headers = prop::collection::hash_map("[a-z-]{1,12}", "[ -~]{0,20}", 0..4);
    let parts = (headers, prop::option::of(text()));
    parts.prop_map(|(mut headers, host)| {
        if let Some(host) = host.filter(|host| HeaderValue::from_str(host).is_ok()) {
            headers.insert("host".to_owned(), host);
        }
        json!(headers)
    })
}

/// An event in which every part may be absent or odd.
fn any_event() -> impl Strategy<Value = Value> {
    let maybe = || prop::option::of(text());
    let parameters = prop::option::of(prop::collection::hash_map("item_id|x", text(), 0..2));
    let body = (maybe(), any::<bool>());
    let cookies = prop::option::of(prop::collection::vec(text(), 0..3));
    let target = (maybe(), maybe(), parameters);
    let parts = (target, any_headers(), any_context(), body, cookies);
    parts.prop_map(|(target, headers, context, body, cookies)| {
        json!({
            "rawPath": target.0,
            "rawQueryString": target.1,
            "headers": headers,
            "cookies": cookies,
            "pathParameters": target.2.unwrap_or_default(),
            "requestContext": context,
            "body": body.0,
            "isBase64Encoded": body.1,
        })
    })
}

proptest! {
    #![proptest_config(cases(300))]

    /// The conversion never panics, and every part of the request is the event's.
    #[test]
    fn every_event_becomes_a_request(event in any_event()) {
        let Ok(event) = serde_json::from_value::<ApiGatewayV2httpRequest>(event) else {
            return Ok(());
        };
        let request = from_event(event.clone(), "/items/{item_id}");
        let decode = match event.request_context.apiid {
            Some(_) => decoded_by_gateway,
            None => decoded_here,
        };
        let path = decode(event.raw_path.as_deref().unwrap_or_default());
        prop_assert_eq!(request.path(), path);
        let query = event.raw_query_string.unwrap_or_default();
        for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
            let values = url::form_urlencoded::parse(query.as_bytes());
            let last = values.filter(|(other, _)| *other == name).last();
            prop_assert_eq!(request.query_text(&name), last.as_ref().map(|(_, value)| &**value));
        }
        if let Some(text) = event.path_parameters.get("item_id") {
            prop_assert_eq!(request.path_text("item_id"), decode(text));
        }
        let body = event.body.unwrap_or_default();
        let bytes = match event.is_base64_encoded {
            true => STANDARD.decode(&body).unwrap_or_else(|_| body.into_bytes()),
            false => body.into_bytes(),
        };
        prop_assert_eq!(request.body().as_ref(), &bytes[..]);
        // The other extractors must not panic either.
        let _ = (request.prefix(), request.url_path(), request.url_at("/x"), request.query_without("q"));
        let _ = (request.body_json().is_ok(), request.path_int("item_id").is_ok());
    }
}
