//! Tests of the authorizer with keys in the embedded DynamoDB.

use std::time::Duration;

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{Access, Guard};
use crate::auth::AuthMode;
use crate::auth::authorizer::{Authorizer, AuthorizerRequest};
use crate::auth::key::ApiKey;
use crate::auth::store::{ApiKeyStore, StoredKey, row_of};
use crate::clock::now_ms;
use crate::config::Config;
use crate::dynamodb::testing::{self, Faults};

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
            "the guard refuses, and not the authorizer"
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

const NO_CACHE: Duration = Duration::ZERO;
const ONE_HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_key_names_its_caller_in_either_header() {
    let setting = setting(NO_CACHE, "read,write").await;
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
async fn headers_without_exactly_one_valid_key_are_refused() {
    let setting = setting(NO_CACHE, "read").await;
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
        // A repeated header, joined by the gateway.
        json!({"authorization": format!("Bearer {key},Bearer {key}")}),
        json!({"x-api-key": format!("{key},{other}")}),
        json!({"x-api-key": format!("{key}, {key}")}),
        // A repeated header, not joined.
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
async fn a_revoked_or_expired_key_is_refused() {
    let revoked = setting(NO_CACHE, "read").await;
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
    let expired = with_row(NO_CACHE, "read", ends(now)).await;
    assert_eq!(expired.with_key(&expired.key).await, invalid());
    let fresh = with_row(NO_CACHE, "read", ends(now + 3600)).await;
    assert_eq!(fresh.with_key(&fresh.key).await["caller"], "ada");
}

#[tokio::test]
async fn every_wrong_key_costs_one_read() {
    let setting = setting(NO_CACHE, "read").await;
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
async fn a_cached_row_admits_no_wrong_secret() {
    let setting = setting(ONE_HOUR, "read").await;
    for _ in 0..3 {
        assert_eq!(setting.with_key(&setting.key).await["caller"], "ada");
    }
    assert_eq!(setting.faults.calls("GetItem"), 1);
    let wrong = format!("as_{}_{}", setting.key.id(), "A".repeat(43));
    let wrong = ApiKey::parse(&wrong).unwrap();
    assert_eq!(setting.with_key(&wrong).await, invalid());
    assert_eq!(setting.faults.calls("GetItem"), 1);
    // An absent row is not cached: the key may be created at any time.
    let unknown = ApiKey::generate().unwrap();
    for reads in [2, 3] {
        assert_eq!(setting.with_key(&unknown).await, invalid());
        assert_eq!(setting.faults.calls("GetItem"), reads);
    }
}

#[tokio::test]
async fn a_cached_row_expires_and_is_read_again() {
    let short = Duration::from_millis(20);
    let setting = setting(short, "read").await;
    assert_eq!(setting.with_key(&setting.key).await["caller"], "ada");
    setting.store.revoke(setting.key.id()).await.unwrap();
    tokio::time::sleep(short).await;
    assert_eq!(setting.with_key(&setting.key).await, invalid());
}

#[tokio::test]
async fn with_a_caching_gateway_only_the_identity_source_counts() {
    let setting = setting(ONE_HOUR, "read").await;
    let key = setting.key.reveal();
    let bearer = format!("Bearer {key}");
    let event = |source: &str| json!({"headers": {"x-api-key": key, "authorization": bearer}, "identitySource": [source]});
    assert_eq!(setting.ask(event(&bearer)).await["caller"], "ada");
    assert_eq!(setting.ask(event("Bearer x")).await, invalid());
    // The authorizer does not cache the row in addition.
    setting.store.revoke(setting.key.id()).await.unwrap();
    assert_eq!(setting.ask(event(&bearer)).await, invalid());
}

#[tokio::test]
async fn without_the_table_no_key_is_admitted() {
    let setting = setting(NO_CACHE, "read").await;
    setting.faults.fail("GetItem");
    let headers = json!({"headers": {"x-api-key": setting.key.reveal()}});
    let request: AuthorizerRequest = serde_json::from_value(headers).unwrap();
    assert!(setting.authorizer.answer(&request).await.is_err());
}

#[tokio::test]
async fn without_key_authentication_no_key_is_needed() {
    let store = setting(NO_CACHE, "read").await.store;
    let request: AuthorizerRequest = serde_json::from_value(json!({"headers": {}})).unwrap();
    for (mode, context) in [(AuthMode::Off, json!({})), (AuthMode::Jwt, missing())] {
        let authorizer = Authorizer::new(mode, store.clone(), NO_CACHE);
        let answer = authorizer.answer(&request).await.unwrap();
        assert_eq!(serde_json::to_value(&answer).unwrap()["context"], context);
    }
}

/// The guard's decision on a request without an authorizer context: the caller, or the refusal's status.
async fn past_the_authorizer(
    mode: &str,
    authorizer: Authorizer,
    method: Method,
    headers: &[(&'static str, String)],
) -> Result<Option<String>, u16> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let config = Config::from([("AUTH_MODE", mode)]);
    let guard = Guard::new(&config, Access::Callers).unwrap();
    let guard = guard.with_key_check(|| Ok(authorizer));
    let context = guard.identify(&map).await;
    let context = context.map_err(|error| error.status().as_u16())?;
    let admitted = guard.admit(&method, context.as_ref());
    let admitted = admitted.map_err(|refusal| refusal.status().as_u16())?;
    Ok(admitted.caller)
}

#[tokio::test]
async fn a_request_past_the_authorizer_is_checked_by_its_key() {
    let setting = setting(NO_CACHE, "read").await;
    let key = setting.key.reveal().to_owned();
    let bearer = format!("Bearer {key}");
    let ada = Ok(Some("ada".to_owned()));
    let (plain, bearer) = (("x-api-key", key), ("authorization", bearer));
    let wrong = ("x-api-key", ApiKey::generate().unwrap().reveal().to_owned());
    for (mode, method, headers, expected) in [
        ("api-key", Method::GET, vec![plain.clone()], ada.clone()),
        ("api-key", Method::GET, vec![bearer.clone()], ada.clone()),
        ("api-key", Method::POST, vec![bearer.clone()], Err(403)),
        ("api-key", Method::GET, vec![], Err(401)),
        ("api-key", Method::GET, vec![wrong], Err(401)),
        (
            "api-key",
            Method::GET,
            vec![plain.clone(), plain.clone()],
            Err(401),
        ),
        ("api-key-cached", Method::GET, vec![bearer.clone()], ada),
        ("api-key-cached", Method::GET, vec![plain], Err(401)),
        ("jwt", Method::GET, vec![bearer], Err(401)),
    ] {
        let mode_of_authorizer = mode.parse().unwrap();
        let authorizer = Authorizer::new(mode_of_authorizer, setting.store.clone(), NO_CACHE);
        let found = past_the_authorizer(mode, authorizer, method, &headers).await;
        assert_eq!(found, expected, "{mode} {headers:?}");
    }
}

#[tokio::test]
async fn past_the_authorizer_no_key_is_admitted_without_the_table() {
    let setting = setting(NO_CACHE, "read").await;
    setting.faults.fail("GetItem");
    let headers = [("x-api-key", setting.key.reveal().to_owned())];
    let found = past_the_authorizer("api-key", setting.authorizer, Method::GET, &headers);
    assert_eq!(found.await, Err(503));
}
