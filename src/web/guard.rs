//! The guard in front of every handler: authorizes the caller of a request.
//!
//! The guard trusts the gateway's authorizer context for the caller's name. A request without a context
//! (a gateway may leave it out for a path with a trailing slash, and the fallback has none to pass on) is
//! checked by its API key, with the authorizer's own code. So a route that was deployed without its
//! authorizer is closed to all but callers with a key.

use std::cell::LazyCell;
use std::fmt;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use serde_json::Value;

use super::error::HttpError;
use crate::auth::authorizer::{Authorizer, MISSING};
use crate::auth::{AuthMode, Scope, Scopes};
use crate::config::{Config, ConfigError};
use crate::tasks::task::MAX_CALLER;
use crate::tasks::viewer::Viewer;

/// The callers that a route admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Authenticated callers with the scope of the method.
    Callers,
    /// Everybody, or as `Callers` if the deployment closes its documentation.
    Documentation,
    /// Everybody, or as `Callers` unless the deployment opens its metrics.
    Metrics,
    /// Everybody.
    Everybody,
}

/// An admitted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The caller's name, or `None` without authentication.
    pub caller: Option<String>,
    /// Decides whose tasks the caller may see.
    pub viewer: Viewer,
}

impl Default for Admitted {
    /// No caller, and a viewer without tasks.
    fn default() -> Admitted {
        Admitted {
            caller: None,
            viewer: Viewer::Caller(String::new()),
        }
    }
}

/// The check of API keys: makes the authorizer context of a request from its headers. Boxed as a whole, so
/// that a function without the check is not linked with the AWS SDK.
type KeyCheck<'a> = Box<dyn Fn(HeaderMap) -> LocalBoxFuture<'a, Identified> + 'a>;
type Identified = Result<ApiGatewayRequestAuthorizer, HttpError>;

/// Admits or refuses the requests to one route.
pub struct Guard<'a> {
    mode: AuthMode,
    own_tasks_only: bool,
    /// The prefix of this service's scopes in a token.
    prefix: String,
    key_check: Option<KeyCheck<'a>>,
    /// The keys of the routes that are open to everybody, such as `GET /healthcheck`.
    open_routes: Vec<&'static str>,
}

/// A caller, named by the gateway.
struct Caller {
    name: String,
    scopes: Scopes,
}

impl<'a> Guard<'a> {
    /// The guard of a route with this access, by the configuration.
    ///
    /// # Errors
    /// When a variable has an invalid value.
    pub fn new(config: &Config, access: Access) -> Result<Guard<'a>, ConfigError> {
        let open = match access {
            Access::Callers | Access::Metrics => false,
            Access::Documentation => config.open_docs()?,
            Access::Everybody => true,
        };
        Ok(Guard {
            mode: if open {
                AuthMode::Off
            } else {
                config.auth_mode().parse()?.unwrap_or_default()
            },
            own_tasks_only: config.own_tasks_only()?,
            prefix: config.jwt_scope_prefix(),
            key_check: None,
            open_routes: Vec::new(),
        })
    }

    /// Opens those of a function's `routes` that are open to everybody by the configuration. A route is named
    /// by its key in the gateway, such as `GET /healthcheck`: a client cannot choose the key.
    ///
    /// # Errors
    /// When a variable has an invalid value.
    pub fn with_open_routes(
        mut self,
        config: &Config,
        routes: &[(Access, &'static str)],
    ) -> Result<Guard<'a>, ConfigError> {
        for (access, key) in routes {
            let is_open = match access {
                Access::Callers => false,
                Access::Documentation => config.open_docs()?,
                Access::Metrics => config.open_metrics()?,
                Access::Everybody => true,
            };
            self.open_routes.extend(is_open.then_some(*key));
        }
        Ok(self)
    }

    /// Checks the API keys of requests without an authorizer context, with the authorizer that `build`
    /// makes. Without this, and in a mode without API keys, the guard refuses such requests.
    pub fn with_key_check(
        self,
        build: impl FnOnce() -> Result<Authorizer, ConfigError> + 'a,
    ) -> Guard<'a> {
        if !matches!(self.mode, AuthMode::ApiKey | AuthMode::CachedApiKey) {
            return self;
        }
        // Built for the first request without a context.
        let authorizer = Rc::new(LazyCell::new(build));
        let key_check: KeyCheck<'a> = Box::new(move |headers| {
            let authorizer = Rc::clone(&authorizer);
            Box::pin(async move {
                let authorizer = authorizer.as_ref().as_ref().map_err(|error| {
                    tracing::error!(%error, "keys cannot be checked");
                    HttpError::internal()
                })?;
                let mut context = ApiGatewayRequestAuthorizer::default();
                context.fields = authorizer.context(&headers).await?.into_fields();
                Ok(context)
            })
        });
        Guard {
            key_check: Some(key_check),
            ..self
        }
    }

    /// The authorizer context of a request that came without one; `None` if only the gateway can
    /// identify callers.
    ///
    /// # Errors
    /// When the table of keys does not answer, or the configuration of the check is wrong.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<ApiGatewayRequestAuthorizer>, HttpError> {
        match &self.key_check {
            Some(key_check) => key_check(headers.clone()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether the guard admits everybody.
    pub fn is_open(&self) -> bool {
        self.mode == AuthMode::Off
    }

    /// The admission to the route with this key, if [`Guard::with_open_routes`] has opened the route: of nobody in
    /// particular, who sees what the route shows.
    pub fn admit_to_open(&self, route: &str) -> Option<Admitted> {
        self.open_routes.contains(&route).then_some(Admitted {
            caller: None,
            viewer: Viewer::Everyone,
        })
    }

    /// Admits or refuses a request.
    ///
    /// # Errors
    /// 401 without an authenticated caller, 403 if the caller lacks the scope of the method.
    pub fn admit(
        &self,
        method: &Method,
        authorizer: Option<&ApiGatewayRequestAuthorizer>,
    ) -> Result<Admitted, HttpError> {
        let caller = match self.mode {
            AuthMode::Off => {
                let caller = authorizer.and_then(optional_caller);
                return Ok(self.admitted(caller, false));
            }
            AuthMode::ApiKey | AuthMode::CachedApiKey => by_key(authorizer),
            AuthMode::Jwt => self.by_token(authorizer),
        };
        let caller = caller?;
        // A worker refuses a message with a longer name.
        if caller.name.len() > MAX_CALLER {
            return Err(invalid());
        }
        if !caller.scopes.allow(Scope::of(method)) {
            return Err(HttpError::new(StatusCode::FORBIDDEN, "Forbidden"));
        }
        let sees_all = caller.scopes.allow(Scope::Admin);
        Ok(self.admitted(Some(caller.name), sees_all))
    }

    fn admitted(&self, caller: Option<String>, sees_all: bool) -> Admitted {
        let restricted = self.own_tasks_only && !sees_all;
        let viewer = match &caller {
            Some(name) if restricted => Viewer::Caller(name.clone()),
            _ => Viewer::Everyone,
        };
        Admitted { caller, viewer }
    }

    /// The subject of a token, with the scopes of the claims `scope` and `scp`.
    fn by_token(
        &self,
        authorizer: Option<&ApiGatewayRequestAuthorizer>,
    ) -> Result<Caller, HttpError> {
        let token = authorizer.and_then(|authorizer| authorizer.jwt.as_ref());
        let claims = &token.ok_or_else(no_authorizer)?.claims;
        let name = claims.get("sub").filter(|name| !name.is_empty());
        let name = name.ok_or_else(invalid)?.clone();
        // The gateway writes a list of texts as `[read write]`.
        let words = ["scope", "scp"].into_iter().filter_map(|claim| {
            let text = claims.get(claim)?.trim_matches(['[', ']']);
            Some(text.split([' ', ',']))
        });
        let scopes = Scopes::among(words.flatten(), &self.prefix);
        Ok(Caller { name, scopes })
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut guard = f.debug_struct("Guard");
        guard.field("mode", &self.mode);
        guard.field("own_tasks_only", &self.own_tasks_only);
        guard.finish_non_exhaustive()
    }
}

/// The caller that the authorizer function found by an API key.
fn by_key(authorizer: Option<&ApiGatewayRequestAuthorizer>) -> Result<Caller, HttpError> {
    let fields = &authorizer.ok_or_else(no_authorizer)?.fields;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let name = text("caller").filter(|name| !name.is_empty());
    match (name, text("refused")) {
        (Some(name), None) => Ok(Caller {
            name: name.to_owned(),
            scopes: Scopes::among(text("scopes").unwrap_or_default().split(' '), ""),
        }),
        (_, Some(MISSING)) => Err(unauthorized("Not authenticated")),
        (_, Some(_)) => Err(invalid()),
        (None, None) => Err(no_authorizer()),
    }
}

/// The caller from any authorizer: the `caller` of a function, the subject of a token, or an AWS identity.
fn optional_caller(authorizer: &ApiGatewayRequestAuthorizer) -> Option<String> {
    let named = authorizer.fields.get("caller").and_then(Value::as_str);
    let subject = || {
        authorizer
            .jwt
            .as_ref()?
            .claims
            .get("sub")
            .map(String::as_str)
    };
    let identity = || authorizer.iam.as_ref()?.user_arn.as_deref();
    let caller = named.or_else(subject).or_else(identity);
    caller
        .filter(|name| (1..=MAX_CALLER).contains(&name.len()))
        .map(str::to_owned)
}

/// The error for a request without an authorizer context: the route lacks its authorizer.
fn no_authorizer() -> HttpError {
    tracing::error!("the route has no authorizer, so the request is refused");
    unauthorized("Not authenticated")
}

fn invalid() -> HttpError {
    unauthorized("Invalid authentication credentials")
}

fn unauthorized(detail: &str) -> HttpError {
    HttpError::new(StatusCode::UNAUTHORIZED, detail)
        .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests;
