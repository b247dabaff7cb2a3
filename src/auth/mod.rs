//! Who gets in: API keys, tokens, and what each may do.
//!
//! The gateway asks the [`authorizer`] function before a route's function. The authorizer finds out
//! who makes a request and never refuses anybody itself: an HTTP API would word the refusal in its
//! own way. The guard in front of every handler (`web::guard`) refuses with 401 or 403, and also a
//! request whose caller nobody has looked up. [`key`] is the form of API keys, [`store`] their table.

pub mod authorizer;
pub mod key;
pub mod store;

use std::fmt;
use std::str::FromStr;

/// How callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// By an API key, which the authorizer function knows.
    #[default]
    ApiKey,
    /// By a JSON Web Token, which the gateway has checked.
    Jwt,
    /// Not at all: everybody gets in.
    Off,
}

impl FromStr for AuthMode {
    type Err = String;

    fn from_str(text: &str) -> Result<AuthMode, String> {
        match text {
            // Where the gateway keeps the authorizer's answers makes no difference to a function.
            "api-key" | "api-key-cached" => Ok(AuthMode::ApiKey),
            "jwt" => Ok(AuthMode::Jwt),
            "none" => Ok(AuthMode::Off),
            _ => Err("it must be api-key, api-key-cached, jwt or none".to_owned()),
        }
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `GET` and `HEAD`.
    Read,
    /// Every other method.
    Write,
    /// Both, and to see the tasks of all callers.
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

    /// What a request needs: reading what does not change anything, writing all else.
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
    /// The scopes among these words, whose names stand behind `prefix`; other words mean nothing here.
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

    /// Whether a caller with these scopes may do what needs `scope`.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

/// Reads a list with commas or spaces between; a name that is none, or no name, is an error.
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
