//! What the authorizer function answers the gateway: who makes a request.
//!
//! It lets every request through, and says in the answer's context who makes it, or that nobody
//! known does; `web::guard` decides what that is good for. What it says depends on the caller's
//! headers alone, and not on the route, so that an answer may be kept for all routes. Where the
//! gateway keeps it, it does so by the header that it names as the identity source, and then nothing
//! else is looked at here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::AuthMode;
use super::key::{ApiKey, KeyHash};
use crate::auth::store::{ApiKeyStore, StoredKey};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;

/// The most keys whose rows one process keeps.
const KEPT: usize = 1_000;

/// The gateway's question, in its payload format 2.0: of all that it holds, what is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerRequest {
    headers: Option<HashMap<String, String>>,
    /// The headers' values that the gateway keeps the answer by; none where it does not keep it.
    identity_source: Option<Vec<String>>,
}

/// The answer, in the form that HTTP APIs call simple.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerAnswer {
    is_authorized: bool,
    context: Context,
}

/// What a function is told of the caller.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    /// Why there is no caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
}

/// What the context says of a request without a key.
pub const MISSING: &str = "missing";
/// What it says of a key that is worth nothing. Why is written to the log alone.
pub const INVALID: &str = "invalid";

/// Knows callers by their keys.
#[derive(Debug)]
pub struct Authorizer {
    mode: AuthMode,
    keys: ApiKeyStore,
    /// How long a key's row is used without reading it again.
    keep: Duration,
    kept: Mutex<HashMap<String, (StoredKey, Instant)>>,
}

impl Authorizer {
    /// Looks keys up in `keys`, and each again after `keep`.
    pub fn new(mode: AuthMode, keys: ApiKeyStore, keep: Duration) -> Authorizer {
        let kept = Mutex::default();
        Authorizer {
            mode,
            keys,
            keep,
            kept,
        }
    }

    /// Who makes a request.
    ///
    /// # Errors
    /// When the table does not answer. The gateway then answers 500, and keeps nothing.
    pub async fn answer(
        &self,
        request: &AuthorizerRequest,
    ) -> Result<AuthorizerAnswer, StoreError> {
        let context = match self.mode {
            AuthMode::Off => Context::default(),
            // The gateway checks tokens itself, and asks only for the routes of the documentation.
            AuthMode::Jwt => refused(MISSING),
            AuthMode::ApiKey => {
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

    async fn caller(&self, request: &AuthorizerRequest, now: u64) -> Result<Context, StoreError> {
        let key = match request.key() {
            Ok(key) => key,
            Err(reason) => return Ok(refused(reason)),
        };
        let by_gateway = request.identity().is_some();
        let row = self.row(key.id(), by_gateway).await?;
        // What is compared with the key of an unknown id takes as long, and never matches.
        let hash = row.as_ref().map_or(&KeyHash::OF_NONE, |row| &row.hash);
        let matches = hash.matches(&key.hash());
        let why = match &row {
            None => "the id is unknown",
            Some(_) if !matches => "the secret is wrong",
            Some(row) if row.disabled => "it is revoked",
            Some(row) if row.is_expired(now) => "it is expired",
            Some(row) => {
                return Ok(Context {
                    caller: Some(row.name.clone()),
                    scopes: Some(row.scopes.to_string()),
                    refused: None,
                });
            }
        };
        tracing::info!(key = key.id(), why, "a key is worth nothing");
        Ok(refused(INVALID))
    }

    /// The row of a key. One that was read lately is used again, but where the gateway keeps answers
    /// itself: a revoked key would live through both times. That there is no row is not kept, since
    /// anybody can ask for any number of ids.
    async fn row(&self, id: &str, by_gateway: bool) -> Result<Option<StoredKey>, StoreError> {
        if by_gateway || self.keep.is_zero() {
            return self.keys.get(id).await;
        }
        let now = Instant::now();
        if let Some((row, read)) = self.lock().get(id)
            && now.duration_since(*read) < self.keep
        {
            return Ok(Some(row.clone()));
        }
        let row = self.keys.get(id).await?;
        let mut kept = self.lock();
        kept.remove(id);
        if let Some(row) = &row {
            if kept.len() >= KEPT {
                kept.clear();
            }
            // The time before the read: what was revoked during it was read as it was before.
            kept.insert(id.to_owned(), (row.clone(), now));
        }
        Ok(row)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (StoredKey, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(reason: &'static str) -> Context {
    Context {
        refused: Some(reason),
        ..Context::default()
    }
}

impl AuthorizerRequest {
    /// The one key of a request: in `Authorization: Bearer`, or in `x-api-key`. Where several
    /// values stand that are not the same, nobody can tell which one another server in between has
    /// looked at, so none of them counts.
    fn key(&self) -> Result<ApiKey, &'static str> {
        let (bearer, plain) = match self.identity() {
            Some(authorization) => (Some(bearer(authorization)), None),
            None => (
                self.header("authorization")?.map(bearer),
                self.header("x-api-key")?,
            ),
        };
        let text = match (bearer, plain) {
            (None, None) => return Err(MISSING),
            (Some(Some(bearer)), Some(plain)) if bearer != plain => return Err(INVALID),
            (Some(bearer), _) => bearer,
            (None, plain) => plain,
        };
        text.and_then(ApiKey::parse).ok_or(INVALID)
    }

    /// What the gateway keeps the answer by: the value of `Authorization`.
    fn identity(&self) -> Option<&str> {
        let values = self.identity_source.as_deref().unwrap_or_default();
        values.first().map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The value of a header; a header that is there twice is worth nothing.
    fn header(&self, name: &str) -> Result<Option<&str>, &'static str> {
        let mut values = self
            .headers
            .iter()
            .flatten()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty());
        let value = values.next();
        match values.next() {
            Some(_) => Err(INVALID),
            None => Ok(value),
        }
    }
}

/// The credential behind the scheme `Bearer`, whose name may be in any case (RFC 9110, section 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, credential) = authorization.trim().split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| credential.trim_start_matches(' '))
}
