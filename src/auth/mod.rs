//! Authentication and authorization: API keys, tokens, and scopes.
//!
//! The gateway calls the [`authorizer`] function before a route's function. The authorizer identifies
//! the caller and never refuses a request itself, because an HTTP API would answer the refusal in its
//! own words. The guard in front of every handler (`web::guard`) refuses with 401 or 403; it also
//! refuses a request that did not pass the authorizer. [`key`] is the format of API keys, [`store`]
//! their table.

pub mod authorizer;
pub mod key;
pub mod store;

use std::fmt;
use std::str::FromStr;

/// How callers authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// By an API key, which the authorizer function checks.
    #[default]
    ApiKey,
    /// As [`AuthMode::ApiKey`], but only in `Authorization`: the gateway caches the authorizer's answers by
    /// this header.
    CachedApiKey,
    /// By a JSON Web Token, which the gateway checks.
    Jwt,
    /// Not at all: every request is accepted.
    Off,
}

impl FromStr for AuthMode {
    type Err = String;

    fn from_str(text: &str) -> Result<AuthMode, String> {
        match text {
            "api-key" => Ok(AuthMode::ApiKey),
            "api-key-cached" => Ok(AuthMode::CachedApiKey),
            "jwt" => Ok(AuthMode::Jwt),
            "none" => Ok(AuthMode::Off),
            _ => Err("it must be api-key, api-key-cached, jwt or none".to_owned()),
        }
    }
}

/// A permission of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `GET` and `HEAD`.
    Read,
    /// Every other method.
    Write,
    /// Every method, and the tasks of all callers.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Write, Scope::Admin];

    /// The scope's name in a key's row, in a token and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        }
    }

    /// The scope that a method requires.
    pub fn of(method: &http::Method) -> Scope {
        match method.as_str() {
            "GET" | "HEAD" => Scope::Read,
            _ => Scope::Write,
        }
    }
}

/// The scopes of one caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// The scopes among these words, each after the prefix `prefix`. Other words are ignored.
    pub fn among<'a>(words: impl Iterator<Item = &'a str>, prefix: &str) -> Scopes {
        let known = |word: &str| {
            let name = word.strip_prefix(prefix)?;
            Scope::ALL.into_iter().find(|scope| scope.as_str() == name)
        };
        let mut scopes: Vec<Scope> = words.filter_map(known).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Scopes(scopes)
    }

    /// Whether these scopes include `scope`.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

/// Parses a list of names, separated by commas or spaces. An unknown name or an empty list is an error.
impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Scopes, String> {
        let words = || {
            text.split([',', ' '])
                .map(str::trim)
                .filter(|w| !w.is_empty())
        };
        let unknown = words().find(|word| Scope::ALL.iter().all(|scope| scope.as_str() != *word));
        match unknown {
            Some(word) => Err(format!(
                "{word:?} is no scope: there are read, write and admin"
            )),
            None if words().next().is_none() => Err("a key needs a scope".to_owned()),
            None => Ok(Scopes::among(words(), "")),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&names.join(" "))
    }
}
