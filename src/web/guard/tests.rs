//! Keys, headers and contexts, through authorizer and guard on the embedded DynamoDB.

use std::time::Duration;

use http::{Method, StatusCode};
use lambda_http::Response;
use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use serde_json::{Value, json};

use super::{Access, Guard};
use crate::auth::AuthMode;
use crate::auth::authorizer::{Authorizer, AuthorizerRequest};
use crate::auth::key::ApiKey;
use crate::auth::store::{ApiKeyStore, StoredKey, row_of};
use crate::clock::now_ms;
use crate::config::Config;
use crate::dynamodb::testing::{self, Faults};
use crate::web::answer::text_of;

/// An authorizer with one key in its table.
struct Setting {
    authorizer: Authorizer,
    store: ApiKeyStore,
    faults: Faults,
    key: ApiKey,
}

async fn setting(keep: Duration, scopes: &str) -> Setting {
    with_row(keep, scopes, |row| row).await
}

async fn with_row(
    keep: Duration,
    scopes: &str,
    change: impl FnOnce(StoredKey) -> StoredKey,
) -> Setting {
    let faults = Faults::default();
    let store = ApiKeyStore::new(testing::faulty(&faults), testing::API_KEYS.to_owned());
    let key = ApiKey::generate().unwrap();
    let row = change(row_of(&key, "ada", scopes.parse().unwrap(), now_ms(), None));
    assert!(store.create(&row).await.unwrap());
    Setting {
        authorizer: Authorizer::new(AuthMode::ApiKey, store.clone(), keep),
        store,
        faults,
        key,
    }
}

impl Setting {
    async fn ask(&self, event: Value) -> Value {
        let request: AuthorizerRequest = serde_json::from_value(event).unwrap();
        let answer = self.authorizer.answer(&request).await.unwrap();
        let answer = serde_json::to_value(&answer).unwrap();
        assert_eq!(
            answer["isAuthorized"], true,
            "the guard refuses, in FastAPI's words"
        );
        answer["context"].clone()
    }

    async fn with(&self, headers: Value) -> Value {
        self.ask(json!({"version": "2.0", "headers": headers, "identitySource": null}))
            .await
    }

    async fn with_key(&self, key: &ApiKey) -> Value {
        self.with(json!({"x-api-key": key.reveal()})).await
    }
}

fn invalid() -> Value {
    json!({"refused": "invalid"})
}

fn missing() -> Value {
    json!({"refused": "missing"})
}

const NOT_AT_ALL: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_key_names_its_caller_in_either_header() {
    let setting = setting(NOT_AT_ALL, "read,write").await;
    let ada = json!({"caller": "ada", "scopes": "read write"});
    let key = setting.key.reveal();
    for headers in [
        json!({"x-api-key": key}),
        json!({"X-API-Key": format!(" {key} ")}),
        json!({"authorization": format!("Bearer {key}")}),
        json!({"Authorization": format!("bearer {key}")}),
        json!({"authorization": format!("BEARER  {key}")}),
        json!({"authorization": format!("Bearer {key}"), "x-api-key": key}),
        json!({"authorization": "", "x-api-key": key}),
    ] {
        assert_eq!(setting.with(headers.clone()).await, ada, "{headers}");
    }
}

#[tokio::test]
async fn what_is_not_one_key_is_refused() {
    let setting = setting(NOT_AT_ALL, "read").await;
    let key = setting.key.reveal();
    let other = ApiKey::generate().unwrap();
    let other = other.reveal();
    for nothing in [
        json!(null),
        json!({}),
        json!({"x-api-key": " "}),
        json!({"x-amzn-caller": "ada", "caller": "ada", "cookie": key, "proxy-authorization": key}),
    ] {
        assert_eq!(setting.with(nothing.clone()).await, missing(), "{nothing}");
    }
    for headers in [
        json!({"x-api-key": other}),
        json!({"x-api-key": format!("Bearer {key}")}),
        json!({"authorization": key}),
        json!({"authorization": format!("Basic {key}")}),
        json!({"authorization": format!("Bearer{key}")}),
        json!({"authorization": "Bearer"}),
        json!({"authorization": "Bearer "}),
        // As a gateway joins a header that was sent twice.
        json!({"authorization": format!("Bearer {key},Bearer {key}")}),
        json!({"x-api-key": format!("{key},{other}")}),
        json!({"x-api-key": format!("{key}, {key}")}),
        // As one would that does not.
        json!({"x-api-key": key, "X-Api-Key": key}),
        json!({"authorization": format!("Bearer {key}"), "x-api-key": other}),
        json!({"authorization": format!("Bearer {other}"), "x-api-key": key}),
        json!({"authorization": "Basic YWRhOng=", "x-api-key": key}),
        json!({"x-api-key": "a".repeat(100_000)}),
        json!({"authorization": format!("Bearer {key}{}", "a".repeat(100_000))}),
        json!({"x-api-key": "ключ"}),
    ] {
        assert_eq!(setting.with(headers.clone()).await, invalid(), "{headers}");
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_or_is_expired_is_refused() {
    let revoked = setting(NOT_AT_ALL, "read").await;
    assert_eq!(revoked.with_key(&revoked.key).await["caller"], "ada");
    revoked.store.revoke(revoked.key.id()).await.unwrap();
    assert_eq!(revoked.with_key(&revoked.key).await, invalid());

    let ends = |at| {
        move |row| StoredKey {
            expires_at: Some(at),
            ..row
        }
    };
    let now = now_ms() / 1000;
    let expired = with_row(NOT_AT_ALL, "read", ends(now)).await;
    assert_eq!(expired.with_key(&expired.key).await, invalid());
    let fresh = with_row(NOT_AT_ALL, "read", ends(now + 3600)).await;
    assert_eq!(fresh.with_key(&fresh.key).await["caller"], "ada");
}

#[tokio::test]
async fn a_wrong_key_costs_the_same_calls_however_wrong_it_is() {
    let setting = setting(NOT_AT_ALL, "read").await;
    let text = setting.key.reveal();
    let (head, last) = text.split_at(text.len() - 1);
    let nearly = format!("{head}{}", if last == "A" { "E" } else { "A" });
    let unknown = text.replacen(setting.key.id(), "0123456789abcdef", 1);
    let far = format!("{}{}", &text[..20], "A".repeat(43));
    for wrong in [nearly, far, unknown] {
        let before = setting.faults.calls("GetItem");
        let key = ApiKey::parse(&wrong).unwrap();
        assert_eq!(setting.with_key(&key).await, invalid());
        assert_eq!(setting.faults.calls("GetItem"), before + 1, "{wrong}");
    }
}

#[tokio::test]
async fn a_row_is_kept_for_a_time_and_a_wrong_secret_is_not_let_in_by_it() {
    let setting = setting(LONG, "read").await;
    for _ in 0..3 {
        assert_eq!(setting.with_key(&setting.key).await["caller"], "ada");
    }
    assert_eq!(setting.faults.calls("GetItem"), 1);
    let wrong = format!("as_{}_{}", setting.key.id(), "A".repeat(43));
    let wrong = ApiKey::parse(&wrong).unwrap();
    assert_eq!(setting.with_key(&wrong).await, invalid());
    assert_eq!(setting.faults.calls("GetItem"), 1);
    // What is not there may be there in a moment.
    let unknown = ApiKey::generate().unwrap();
    for reads in [2, 3] {
        assert_eq!(setting.with_key(&unknown).await, invalid());
        assert_eq!(setting.faults.calls("GetItem"), reads);
    }
}

#[tokio::test]
async fn a_kept_row_expires_in_time_and_is_read_again() {
    let short = Duration::from_millis(20);
    let setting = setting(short, "read").await;
    assert_eq!(setting.with_key(&setting.key).await["caller"], "ada");
    setting.store.revoke(setting.key.id()).await.unwrap();
    tokio::time::sleep(short).await;
    assert_eq!(setting.with_key(&setting.key).await, invalid());
}

#[tokio::test]
async fn where_the_gateway_keeps_answers_only_what_it_keeps_them_by_counts() {
    let setting = setting(LONG, "read").await;
    let key = setting.key.reveal();
    let bearer = format!("Bearer {key}");
    let event = |source: &str| json!({"headers": {"x-api-key": key, "authorization": bearer}, "identitySource": [source]});
    assert_eq!(setting.ask(event(&bearer)).await["caller"], "ada");
    assert_eq!(setting.ask(event("Bearer x")).await, invalid());
    // And a row is not kept here as well.
    setting.store.revoke(setting.key.id()).await.unwrap();
    assert_eq!(setting.ask(event(&bearer)).await, invalid());
}

#[tokio::test]
async fn a_table_that_does_not_answer_lets_nobody_in() {
    let setting = setting(NOT_AT_ALL, "read").await;
    setting.faults.fail("GetItem");
    let headers = json!({"headers": {"x-api-key": setting.key.reveal()}});
    let request: AuthorizerRequest = serde_json::from_value(headers).unwrap();
    assert!(setting.authorizer.answer(&request).await.is_err());
}

#[tokio::test]
async fn without_keys_nobody_is_asked_for_one() {
    let store = setting(NOT_AT_ALL, "read").await.store;
    let request: AuthorizerRequest = serde_json::from_value(json!({"headers": {}})).unwrap();
    for (mode, context) in [(AuthMode::Off, json!({})), (AuthMode::Jwt, missing())] {
        let authorizer = Authorizer::new(mode, store.clone(), NOT_AT_ALL);
        let answer = authorizer.answer(&request).await.unwrap();
        assert_eq!(serde_json::to_value(&answer).unwrap()["context"], context);
    }
}

/// What the guard says: whose tasks alone may be seen, and who calls; or the refusal.
fn admit<const N: usize>(
    variables: [(&str, &str); N],
    access: Access,
    method: Method,
    context: Value,
) -> Result<(Option<String>, Option<String>), (u16, String)> {
    let guard = Guard::new(&Config::from(variables), access).unwrap();
    let authorizer: Option<ApiGatewayRequestAuthorizer> = serde_json::from_value(context).unwrap();
    match guard.admit(&method, authorizer.as_ref()) {
        Ok(admitted) => {
            let only = admitted.viewer.only().map(str::to_owned);
            Ok((only, admitted.caller))
        }
        Err(refusal) => {
            assert!(matches!(
                refusal.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ));
            let answer = Response::from(refusal);
            Err((answer.status().as_u16(), text_of(&answer).to_owned()))
        }
    }
}

fn of(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_scope_is_what_the_method_needs() {
    let ask = |scopes: &str, method| {
        let context = json!({"lambda": {"caller": "ada", "scopes": scopes}});
        admit([], Access::Callers, method, context)
    };
    let forbidden = Err((403, r#"{"detail":"Forbidden"}"#.to_owned()));
    let own = Ok((of("ada"), of("ada")));
    for (scopes, method, expected) in [
        ("read", Method::GET, &own),
        ("read", Method::HEAD, &own),
        ("read", Method::POST, &forbidden),
        ("read", Method::PUT, &forbidden),
        ("read", Method::DELETE, &forbidden),
        ("write", Method::POST, &own),
        ("write", Method::GET, &forbidden),
        ("read write", Method::DELETE, &own),
        ("", Method::GET, &forbidden),
        ("reading", Method::GET, &forbidden),
    ] {
        assert_eq!(&ask(scopes, method.clone()), expected, "{scopes} {method}");
    }
    assert_eq!(ask("admin", Method::DELETE), Ok((None, of("ada"))));
}

#[test]
fn who_is_not_known_is_refused_in_fastapis_shape() {
    let ask = |context| admit([], Access::Callers, Method::GET, context);
    let refused = |detail: &str| Err((401, format!(r#"{{"detail":"{detail}"}}"#)));
    let unknown = "Not authenticated";
    for context in [
        json!(null),
        json!({}),
        json!({"lambda": null}),
        json!({"lambda": {"refused": "missing"}}),
        json!({"lambda": {"refused": "missing", "caller": "ada", "scopes": "admin"}}),
        json!({"lambda": {"caller": "", "scopes": "admin"}}),
        json!({"lambda": {"caller": 7, "scopes": "admin"}}),
        // Other authorizers' words count for nothing here.
        json!({"jwt": {"claims": {"sub": "ada", "scope": "admin"}, "scopes": null}}),
        json!({"iam": {"userArn": "arn:aws:iam::1:user/ada"}}),
    ] {
        assert_eq!(ask(context.clone()), refused(unknown), "{context}");
    }
    let context = json!({"lambda": {"refused": "invalid"}});
    assert_eq!(ask(context), refused("Invalid authentication credentials"));
}

#[test]
fn a_token_names_its_subject_and_its_scopes() {
    let jwt = ("AUTH_MODE", "jwt");
    let ask = |claims: Value| {
        let context = json!({"jwt": {"claims": claims, "scopes": null}});
        admit([jwt], Access::Callers, Method::GET, context)
    };
    for claims in [
        json!({"sub": "grace", "scope": "openid read"}),
        json!({"sub": "grace", "scp": "[read write]"}),
        json!({"sub": "grace", "scp": "read"}),
    ] {
        assert_eq!(
            ask(claims.clone()),
            Ok((of("grace"), of("grace"))),
            "{claims}"
        );
    }
    assert_eq!(ask(json!({"sub": "grace"})).unwrap_err().0, 403);
    assert_eq!(
        ask(json!({"sub": "grace", "scope": "write"}))
            .unwrap_err()
            .0,
        403
    );
    assert_eq!(ask(json!({"scope": "admin"})).unwrap_err().0, 401);
    assert_eq!(
        ask(json!({"sub": "", "scope": "admin"})).unwrap_err().0,
        401
    );
    // Nor does the answer of the other authorizer count.
    let context = json!({"lambda": {"caller": "ada", "scopes": "admin"}});
    let refused = admit([jwt], Access::Callers, Method::GET, context);
    assert_eq!(refused.unwrap_err().0, 401);

    let prefixed = |scope: &str| {
        let context = json!({"jwt": {"claims": {"sub": "grace", "scope": scope}, "scopes": null}});
        admit(
            [jwt, ("JWT_SCOPE_PREFIX", "tasks/")],
            Access::Callers,
            Method::POST,
            context,
        )
    };
    assert!(prefixed("tasks/write").is_ok());
    assert_eq!(prefixed("write").unwrap_err().0, 403);
}

#[test]
fn the_documentation_is_open_where_the_deployment_says_so() {
    let ask = |variables, access| admit([variables], access, Method::GET, json!(null));
    let (open, closed) = (("OPEN_DOCS", "true"), ("OPEN_DOCS", "false"));
    assert_eq!(ask(open, Access::Documentation), Ok((None, None)));
    assert_eq!(ask(closed, Access::Documentation).unwrap_err().0, 401);
    assert_eq!(ask(open, Access::Callers).unwrap_err().0, 401);
    assert_eq!(ask(closed, Access::Everybody), Ok((None, None)));
}

#[test]
fn without_authentication_everybody_gets_in() {
    let ask = |context| {
        admit(
            [("AUTH_MODE", "none")],
            Access::Callers,
            Method::PUT,
            context,
        )
    };
    assert_eq!(ask(json!(null)), Ok((None, None)));
    assert_eq!(ask(json!({"lambda": {}})), Ok((None, None)));
    // Whoever has another authorizer in front has callers all the same.
    for (context, name) in [
        (json!({"lambda": {"caller": "ada"}}), "ada"),
        (
            json!({"jwt": {"claims": {"sub": "grace"}, "scopes": null}}),
            "grace",
        ),
        (
            json!({"iam": {"userArn": "arn:aws:iam::1:user/alan"}}),
            "arn:aws:iam::1:user/alan",
        ),
    ] {
        assert_eq!(ask(context), Ok((of(name), of(name))));
    }
}

#[test]
fn callers_may_be_allowed_to_see_each_others_tasks() {
    let context = json!({"lambda": {"caller": "ada", "scopes": "read"}});
    let shared = [("OWN_TASKS_ONLY", "false")];
    let admitted = admit(shared, Access::Callers, Method::GET, context);
    assert_eq!(admitted, Ok((None, of("ada"))));
}

#[test]
fn a_name_that_no_message_carries_is_refused() {
    let ask = |name: String| {
        let context = json!({"lambda": {"caller": name, "scopes": "read"}});
        admit([], Access::Callers, Method::GET, context)
    };
    assert!(ask("a".repeat(1024)).is_ok());
    assert_eq!(ask("a".repeat(1025)).unwrap_err().0, 401);
}
