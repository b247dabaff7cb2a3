//! The authorizer function: tells the gateway who makes a request.
//!
//! The authorizer lets every request through. The answer's context names the caller, or says that the
//! caller is unknown; `web::guard` then accepts or refuses the request. The answer depends only on the
//! request's headers, not on the route, so the gateway may cache one answer for all routes. The
//! cache's key is the header that the gateway names as the identity source; the authorizer then reads
//! no other header.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AuthMode;
use super::key::{ApiKey, KeyHash};
use crate::auth::store::{ApiKeyStore, StoredKey};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The most rows in the cache of one process.
const MAX_CACHED: usize = 1_000;

/// The gateway's request, in payload format 2.0: only the fields that the authorizer reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerRequest {
    headers: Option<HashMap<String, String>>,
    /// The values of the headers that form the gateway's cache key; `None` without the cache.
    identity_source: Option<Vec<String>>,
}

/// The answer, in the simple response format of HTTP APIs.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerAnswer {
    is_authorized: bool,
    context: Context,
}

/// The caller, for the function of the route.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    /// Why there is no caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
}

/// The reason in the context for a request without a key.
pub const MISSING: &str = "missing";
/// The reason in the context for a key that is not valid. Details are only in the log.
pub const INVALID: &str = "invalid";

/// Finds the caller of a request by its API key.
#[derive(Debug)]
pub struct Authorizer {
    mode: AuthMode,
    keys: ApiKeyStore,
    /// How long a key's row stays in the cache.
    cache_time: Duration,
    cache: Mutex<HashMap<String, (StoredKey, Instant)>>,
}

impl Authorizer {
    /// Looks up keys in `keys`, and caches each row for `cache_time`.
    pub fn new(mode: AuthMode, keys: ApiKeyStore, cache_time: Duration) -> Authorizer {
        let cache = Mutex::default();
        Authorizer {
            mode,
            keys,
            cache_time,
            cache,
        }
    }

    /// Who makes a request.
    ///
    /// # Errors
    /// When the table does not answer. The gateway then answers 500 and caches nothing.
    pub async fn answer(
        &self,
        request: &AuthorizerRequest,
    ) -> Result<AuthorizerAnswer, StoreError> {
        let context = match self.mode {
            AuthMode::Off => Context::default(),
            // The gateway checks tokens itself, and calls the authorizer only for the documentation's
            // routes.
            AuthMode::Jwt => refused(MISSING),
            AuthMode::ApiKey | AuthMode::CachedApiKey => {
                let caller = self.caller(request, now_ms()).await;
                caller.inspect_err(|error| {
                    tracing::error!(cause = %Chain(error), "a key could not be checked");
                })?
            }
        };
        Ok(AuthorizerAnswer {
            is_authorized: true,
            context,
        })
    }

    /// The context for a request that came without one, by the headers from which the gateway would have
    /// asked for the context.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn context(&self, headers: &HeaderMap) -> Result<Context, StoreError> {
        let names: &[HeaderName] = match self.mode {
            AuthMode::CachedApiKey => &[AUTHORIZATION],
            _ => &[AUTHORIZATION, X_API_KEY],
        };
        let given = names.iter().filter(|name| headers.contains_key(*name));
        let headers = given.map(|name| (name.to_string(), joined(headers, name)));
        let request = AuthorizerRequest {
            headers: Some(headers.collect()),
            identity_source: None,
        };
        self.caller(&request, now_ms()).await
    }

    async fn caller(&self, request: &AuthorizerRequest, now: u64) -> Result<Context, StoreError> {
        let key = match request.key() {
            Ok(key) => key,
            Err(reason) => return Ok(refused(reason)),
        };
        let gateway_caches = request.identity().is_some();
        let row = self.row(key.id(), gateway_caches).await?;
        // For an unknown id the comparison with a hash of no key takes the same time.
        let hash = row.as_ref().map_or(&KeyHash::OF_NONE, |row| &row.hash);
        let matches = hash.matches(&key.hash());
        let why = match &row {
            None => "the id is unknown",
            Some(_) if !matches => "the secret is wrong",
            Some(row) if row.disabled => "the key is revoked",
            Some(row) if row.is_expired(now) => "the key is expired",
            Some(row) => {
                return Ok(Context {
                    caller: Some(row.name.clone()),
                    scopes: Some(row.scopes.to_string()),
                    refused: None,
                });
            }
        };
        tracing::info!(key = key.id(), why, "a key is not valid");
        Ok(refused(INVALID))
    }

    /// The row of a key, from the cache or the table. If the gateway caches answers itself, this cache
    /// is not used: a revoked key would stay valid for the sum of both times. An absent row is not
    /// cached, because clients can request any number of unknown ids.
    async fn row(&self, id: &str, gateway_caches: bool) -> Result<Option<StoredKey>, StoreError> {
        if gateway_caches || self.cache_time.is_zero() {
            return self.keys.get(id).await;
        }
        let now = Instant::now();
        if let Some((row, read)) = self.lock().get(id)
            && now.duration_since(*read) < self.cache_time
        {
            return Ok(Some(row.clone()));
        }
        let row = self.keys.get(id).await?;
        let mut cache = self.lock();
        cache.remove(id);
        if let Some(row) = &row {
            if cache.len() >= MAX_CACHED {
                cache.clear();
            }
            // The time is taken before the read, because a revocation during the read may be missed.
            cache.insert(id.to_owned(), (row.clone(), now));
        }
        Ok(row)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (StoredKey, Instant)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// The context as the gateway gives it to a function.
    pub fn into_fields(self) -> HashMap<String, Value> {
        let refused = self.refused.map(str::to_owned);
        let members = [
            ("caller", self.caller),
            ("scopes", self.scopes),
            ("refused", refused),
        ];
        let given = members.into_iter();
        given
            .filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?))))
            .collect()
    }
}

/// The values of a header, joined as the gateway does.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    texts.collect::<Vec<_>>().join(",")
}

fn refused(reason: &'static str) -> Context {
    Context {
        refused: Some(reason),
        ..Context::default()
    }
}

impl AuthorizerRequest {
    /// The key of a request: in `Authorization: Bearer`, as the password of `Authorization: Basic`, or in
    /// `x-api-key`. Several different values are refused, because a server in between may have checked another value than the authorizer.
    fn key(&self) -> Result<ApiKey, &'static str> {
        let (credential, plain) = match self.identity() {
            Some(authorization) => (Some(credential(authorization)), None),
            None => (
                self.header(&AUTHORIZATION)?.map(credential),
                self.header(&X_API_KEY)?,
            ),
        };
        let text = match (credential, plain) {
            (None, None) => return Err(MISSING),
            (Some(Some(credential)), Some(plain)) if credential != plain => return Err(INVALID),
            (Some(credential), _) => credential,
            (None, plain) => plain.map(Cow::Borrowed),
        };
        text.and_then(|text| ApiKey::parse(&text)).ok_or(INVALID)
    }

    /// The gateway's cache key: the value of `Authorization`.
    fn identity(&self) -> Option<&str> {
        let values = self.identity_source.as_deref().unwrap_or_default();
        values.first().map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The value of a header. A repeated header is refused.
    fn header(&self, name: &HeaderName) -> Result<Option<&str>, &'static str> {
        let mut values = self
            .headers
            .iter()
            .flatten()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name.as_str()))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty());
        let value = values.next();
        match values.next() {
            Some(_) => Err(INVALID),
            None => Ok(value),
        }
    }
}

/// The credential after the scheme `Bearer`, or the password after the scheme `Basic`, whose user name does
/// not count: clients of Flower and Prometheus send a key in this way. A scheme is case-insensitive (RFC 9110,
/// section 11.1).
fn credential(authorization: &str) -> Option<Cow<'_, str>> {
    let (scheme, rest) = authorization.trim().split_once(' ')?;
    let rest = rest.trim_start_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.into());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    Some(password.to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_bearers_credential_or_the_password_of_anybody() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (header, expected) in [
            ("Bearer as_1".to_owned(), Some("as_1")),
            ("bEARER   as_1 ".to_owned(), Some("as_1")),
            (basic("flower:as_1"), Some("as_1")),
            (basic(":as:1"), Some("as:1")),
            (basic("as_1"), None),
            ("basic !".to_owned(), None),
            (format!("Basic {}", STANDARD.encode(b"a:\xff")), None),
            ("Digest as_1".to_owned(), None),
            ("as_1".to_owned(), None),
        ] {
            assert_eq!(credential(&header).as_deref(), expected, "{header}");
        }
    }
}
