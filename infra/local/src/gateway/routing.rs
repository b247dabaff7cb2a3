//! Matches requests with routes.

use std::str::FromStr;

use percent_encoding::{percent_decode, percent_decode_str};
use serde_json::{Map, Value, json};

use crate::template::Route;

/// How the gateway handles a trailing slash that the route's path does not have.
///
/// API Gateway has no routes with a trailing slash. Its documentation does not say how it handles
/// requests with one, and there are reports of each of these variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Slash {
    /// The request matches the route without the slash.
    #[default]
    Match,
    /// The request matches only `$default`.
    Default,
    /// The request matches the route without the slash, but the authorizer is not invoked, and the
    /// event has no authorizer context.
    Bare,
}

impl FromStr for Slash {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "match" => Ok(Self::Match),
            "default" => Ok(Self::Default),
            "bare" => Ok(Self::Bare),
            _ => Err(format!("{name:?} is not one of match, default, bare")),
        }
    }
}

/// The route of a request.
#[derive(Debug)]
pub(super) struct Matched<'a> {
    pub(super) route: &'a Route,
    /// The values of the route's path parameters.
    pub(super) parameters: Map<String, Value>,
    /// Whether the authorizer is skipped, also if the route has one.
    pub(super) bare: bool,
}

/// The decoded path, with which API Gateway matches routes and which it passes to the function. API
/// Gateway decodes the path, cuts it at a question mark, and decodes it again. An invalid escape in
/// the second step is a bad request.
pub(super) fn decoded_path(path: &str) -> Option<String> {
    let once: Vec<u8> = percent_decode_str(path).collect();
    let once = once.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut rest = once;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return None,
        }
    }
    let twice = percent_decode(once).decode_utf8_lossy();
    Some(twice.into_owned())
}

/// The most specific route of a request; `$default` when no other route matches.
pub(super) fn find<'a>(
    routes: &'a [Route],
    method: &str,
    path: &str,
    slash: Slash,
) -> Option<Matched<'a>> {
    let (path, bare) = match (without_slash(path), slash) {
        (None, _) | (Some(_), Slash::Default) => (path, false),
        (Some(shorter), Slash::Match) => (shorter, false),
        (Some(shorter), Slash::Bare) => (shorter, true),
    };
    let fits = |route: &'a Route| {
        let parameters = (route.method == "ANY" || route.method == method)
            .then(|| parameters(&route.path, path))??;
        Some(Matched {
            route,
            parameters,
            bare,
        })
    };
    // A route without parameters takes precedence over a route with parameters.
    let literal = routes
        .iter()
        .filter_map(fits)
        .min_by_key(|found| found.parameters.len());
    literal.or_else(|| {
        let default = routes.iter().find(|route| route.path.is_empty())?;
        Some(Matched {
            route: default,
            parameters: Map::new(),
            bare: false,
        })
    })
}

/// A path without its trailing slash; `None` when the path has no trailing slash or several, or is
/// only a slash.
fn without_slash(path: &str) -> Option<&str> {
    let shorter = path.strip_suffix('/')?;
    (!shorter.is_empty() && !shorter.ends_with('/')).then_some(shorter)
}

/// The path parameters, if `path` matches `pattern`.
fn parameters(pattern: &str, path: &str) -> Option<Map<String, Value>> {
    if pattern.is_empty() {
        return None;
    }
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let mut found = Map::new();
    for (expected, actual) in pattern.into_iter().zip(path) {
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(_) if actual.is_empty() => return None,
            Some(name) => drop(found.insert(name.to_owned(), json!(actual))),
            None if expected == actual => {}
            None => return None,
        }
    }
    Some(found)
}
