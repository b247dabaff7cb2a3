//! Stands in front of every handler, and lets nobody through whom it does not know.
//!
//! It takes the gateway's word for who makes a request, and no header's. A function that the gateway
//! asks without having asked who it is refuses, so that a route whose authorizer was forgotten is
//! closed and not open.

use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use lambda_http::aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use serde_json::Value;

use super::error::HttpError;
use crate::auth::authorizer::MISSING;
use crate::auth::{AuthMode, Scope, Scopes};
use crate::config::{Config, ConfigError};
use crate::tasks::task::MAX_CALLER;
use crate::tasks::viewer::Viewer;

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Callers who are known, with the scope that the method needs.
    Callers,
    /// Everybody, unless the deployment closes its documentation; then as `Callers`.
    Documentation,
    /// Everybody.
    Everybody,
}

/// Who was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The caller's name, if callers are known.
    pub caller: Option<String>,
    /// Whose tasks the caller may see.
    pub viewer: Viewer,
}

impl Default for Admitted {
    /// Nobody, who sees no task.
    fn default() -> Admitted {
        Admitted {
            caller: None,
            viewer: Viewer::Caller(String::new()),
        }
    }
}

/// Decides who gets in at one route.
#[derive(Debug, Clone)]
pub struct Guard {
    mode: AuthMode,
    own_tasks_only: bool,
    /// What stands before the names of our scopes in a token.
    prefix: String,
}

/// Whom the gateway named.
struct Caller {
    name: String,
    scopes: Scopes,
}

impl Guard {
    /// The guard of a route for `access`, as the configuration has it.
    ///
    /// # Errors
    /// When a variable is set to what it cannot be.
    pub fn new(config: &Config, access: Access) -> Result<Guard, ConfigError> {
        let open = match access {
            Access::Callers => false,
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
        })
    }

    /// Lets a request through, or refuses it.
    ///
    /// # Errors
    /// 401 where nobody known makes it, 403 where the caller may not do this.
    pub fn admit(
        &self,
        method: &Method,
        authorizer: Option<&ApiGatewayRequestAuthorizer>,
    ) -> Result<Admitted, HttpError> {
        let caller = match self.mode {
            AuthMode::Off => {
                let caller = authorizer.and_then(anybody);
                return Ok(self.admitted(caller, false));
            }
            AuthMode::ApiKey => by_key(authorizer),
            AuthMode::Jwt => self.by_token(authorizer),
        };
        let caller = caller?;
        // A message with a longer name is not accepted by a worker.
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

    /// The subject of a token, whose scopes are in its claim `scope` or `scp`.
    fn by_token(
        &self,
        authorizer: Option<&ApiGatewayRequestAuthorizer>,
    ) -> Result<Caller, HttpError> {
        let token = authorizer.and_then(|authorizer| authorizer.jwt.as_ref());
        let claims = &token.ok_or_else(not_asked)?.claims;
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

/// Whom the authorizer function knew by a key.
fn by_key(authorizer: Option<&ApiGatewayRequestAuthorizer>) -> Result<Caller, HttpError> {
    let fields = &authorizer.ok_or_else(not_asked)?.fields;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let name = text("caller").filter(|name| !name.is_empty());
    match (name, text("refused")) {
        (Some(name), None) => Ok(Caller {
            name: name.to_owned(),
            scopes: Scopes::among(text("scopes").unwrap_or_default().split(' '), ""),
        }),
        (_, Some(MISSING)) => Err(unauthorized("Not authenticated")),
        (_, Some(_)) => Err(invalid()),
        (None, None) => Err(not_asked()),
    }
}

/// Whom any authorizer named: a function by its `caller`, the subject of a token, an AWS identity.
fn anybody(authorizer: &ApiGatewayRequestAuthorizer) -> Option<String> {
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

/// The gateway has not said who makes the request: the route lacks its authorizer.
fn not_asked() -> HttpError {
    tracing::error!("no authorizer was asked for this route, so nobody gets in");
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
