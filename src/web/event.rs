//! Reads the event of a function with a route.

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use serde_json::{Map, Value, json};

/// The event of an invocation.
#[derive(Debug)]
pub(super) enum Event {
    /// A request through the gateway.
    Request(Box<ApiGatewayV2httpRequest>),
    /// An event that is not a request: the ping of a tool that keeps functions warm, such as `{}` or
    /// `{"source": "serverless-plugin-warmup"}`.
    Ping,
}

/// Reads an event.
///
/// # Errors
/// For a text that is not JSON, and for a request that is not in payload format 2.0.
pub(super) fn read(text: &str) -> serde_json::Result<Event> {
    match serde_json::from_str::<ApiGatewayV2httpRequest>(text) {
        // An event without a path and an API is a ping: every part of a request is optional in JSON.
        Ok(event) if event.raw_path.is_none() && event.request_context.apiid.is_none() => {
            Ok(Event::Ping)
        }
        Ok(event) => Ok(Event::Request(Box::new(event))),
        Err(error) => read_with_other_types(text, error),
    }
}

/// Reads an event whose members have other JSON types than the gateway's. The gateway writes headers and
/// the claims of a token as texts. Other gateways and emulators keep the JSON types.
fn read_with_other_types(text: &str, error: serde_json::Error) -> serde_json::Result<Event> {
    let mut event: Value = serde_json::from_str(text)?;
    let method = event.pointer("/requestContext/http/method");
    if !method.is_some_and(Value::is_string) {
        return Ok(Event::Ping);
    }
    if let Some(headers) = event.get_mut("headers").and_then(Value::as_object_mut) {
        members_to_texts(headers);
    }
    if let Some(context) = event
        .get_mut("requestContext")
        .and_then(Value::as_object_mut)
        && let Some(authorizer) = context.remove("authorizer")
    {
        context.insert("authorizer".to_owned(), normalized_authorizer(authorizer));
    }
    let event = serde_json::from_value(event).map_err(|_| error)?;
    Ok(Event::Request(Box::new(event)))
}

/// The parts of an authorizer's context that the guard reads, in the gateway's form.
fn normalized_authorizer(mut given: Value) -> Value {
    let mut authorizer = Map::new();
    if let Some(lambda) = given.get_mut("lambda").filter(|lambda| lambda.is_object()) {
        authorizer.insert("lambda".to_owned(), lambda.take());
    }
    if let Some(claims) = given
        .pointer_mut("/jwt/claims")
        .and_then(Value::as_object_mut)
    {
        members_to_texts(claims);
        authorizer.insert("jwt".to_owned(), json!({ "claims": claims }));
    }
    if let Some(arn) = given.pointer("/iam/userArn").and_then(Value::as_str) {
        authorizer.insert("iam".to_owned(), json!({ "userArn": arn }));
    }
    Value::Object(authorizer)
}

/// Turns every member into a text. Members that are null are removed.
fn members_to_texts(members: &mut Map<String, Value>) {
    members.retain(|_, member| !member.is_null());
    for member in members.values_mut().filter(|member| !member.is_string()) {
        *member = Value::String(claim_text(member));
    }
}

/// A claim in API Gateway's form: a list becomes `[read write]`.
fn claim_text(claim: &Value) -> String {
    match claim {
        Value::Array(members) => {
            let texts = members.iter().map(|member| match member {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_a_request_is_a_ping() {
        for ping in [
            json!({}),
            json!({"source": "serverless-plugin-warmup"}),
            json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
            json!({"warmer": true, "concurrency": 3}),
        ] {
            let event = read(&ping.to_string()).unwrap();
            assert!(matches!(event, Event::Ping), "{ping}");
        }
        for ping in [
            "null",
            "[]",
            "1",
            r#""ping""#,
            r#"{"requestContext": {"http": {}}}"#,
        ] {
            assert!(matches!(read(ping).unwrap(), Event::Ping), "{ping}");
        }
        assert!(read("{").is_err());
    }

    #[test]
    fn claims_of_any_json_type_become_texts() {
        let claims = json!({"sub": "ada", "iat": 1_700_000_000, "admin": true, "azp": null,
            "scope": ["read", "write"], "address": {"country": "DE"}});
        let event = json!({
            "rawPath": "/items",
            "requestContext": {
                "apiId": "a",
                "http": {"method": "GET"},
                "authorizer": {"jwt": {"claims": claims, "scopes": null}},
            },
        });
        let Event::Request(event) = read(&event.to_string()).unwrap() else {
            panic!("a request");
        };
        let authorizer = event.request_context.authorizer.unwrap();
        let claims = authorizer.jwt.unwrap().claims;
        assert_eq!(claims["sub"], "ada");
        assert_eq!(claims["iat"], "1700000000");
        assert_eq!(claims["admin"], "true");
        assert_eq!(claims["scope"], "[read write]");
        assert!(!claims.contains_key("azp"));
    }

    #[test]
    fn an_authorizer_of_an_unknown_form_is_ignored() {
        for (authorizer, caller) in [
            (json!({"lambda": {"caller": "ada"}}), true),
            (json!({"lambda": {"caller": "ada"}, "jwt": "x"}), true),
            (
                json!({"lambda": "x", "iam": {"cognitoIdentity": {"amr": null}}}),
                false,
            ),
            (json!("x"), false),
            (json!([]), false),
            (json!({"jwt": {"claims": [], "scopes": "read"}}), false),
        ] {
            let event = json!({
                "rawPath": "/items",
                "headers": {"x-a": "1", "x-b": 2},
                "requestContext": {
                    "apiId": "a",
                    "http": {"method": "GET"},
                    "authorizer": authorizer,
                },
            });
            let Event::Request(event) = read(&event.to_string()).unwrap() else {
                panic!("a request");
            };
            assert_eq!(event.headers["x-b"], "2");
            let context = event.request_context.authorizer.unwrap();
            assert_eq!(
                context.fields.contains_key("caller"),
                caller,
                "{authorizer}"
            );
        }
    }
}
