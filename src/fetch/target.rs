//! Parses a text into a URL that may be fetched, and decides how to connect to its host.

use std::borrow::Cow;

use http::Uri;
use url::{Host, Origin, ParseError, Position, Url};

use super::allow::{AllowList, without_final_dot};
use super::error::FetchError;
use super::resolve::Rule;

/// The longest URL that is fetched, in bytes. RFC 9110 section 4.1 asks for at least 8,000.
pub const MAX_URL: usize = 8 * 1024;

/// The URLs that a fetcher may fetch.
pub(super) enum Scope {
    /// URLs with public addresses, and the hosts of the allow-list.
    Public(AllowList),
    /// URLs of one origin from the configuration, with any address.
    Trusted(Origin),
}

/// How the client connects to the host of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Only to public addresses.
    Checked,
    /// To any address, since the operator named the host.
    Open,
}

/// A URL that may be fetched.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    /// The same URL in the client's type.
    pub(super) uri: Uri,
    pub(super) route: Route,
}

impl Target {
    /// Checks the text of a URL from a caller.
    pub(super) fn new(text: &str, scope: &Scope, rule: Rule) -> Result<Self, FetchError> {
        Self::admit(parse(text)?, scope, rule)
    }

    /// Checks the `Location` of a redirect, which may be relative to this URL.
    pub(super) fn redirect(&self, to: &str, scope: &Scope, rule: Rule) -> Result<Self, FetchError> {
        self.join(to)
            .and_then(|url| Self::admit(url, scope, rule))
            .map_err(FetchError::of_redirect)
    }

    fn join(&self, to: &str) -> Result<Url, FetchError> {
        check_text(to)?;
        self.url.join(&keep_backslashes(to)?).map_err(unparsable)
    }

    /// Checks a parsed URL.
    pub(super) fn admit(mut url: Url, scope: &Scope, rule: Rule) -> Result<Self, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::UnsupportedScheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Credentials);
        }
        if url.port() == Some(0) {
            return Err(FetchError::InvalidUrl("port 0 cannot be connected to"));
        }
        // The parser escapes characters, so that its result can be longer than the text.
        if url.as_str().len() > MAX_URL {
            return Err(FetchError::InvalidUrl(TOO_LONG));
        }
        url.set_fragment(None);
        let route = scope.route(&url, rule)?;
        let uri = uri(&url)?;
        Ok(Self { url, uri, route })
    }
}

impl Scope {
    fn route(&self, url: &Url, rule: Rule) -> Result<Route, FetchError> {
        match self {
            Self::Trusted(origin) if url.origin() == *origin => Ok(Route::Open),
            Self::Trusted(_) => Err(FetchError::ForeignOrigin),
            Self::Public(allow) if allow.contains(url) => Ok(Route::Open),
            Self::Public(_) => check_host(url, rule).map(|()| Route::Checked),
        }
    }
}

/// The URL in the client's type, built from the checked parts, so that the client cannot read another
/// host out of the URL.
pub(super) fn uri(url: &Url) -> Result<Uri, FetchError> {
    let uri = Uri::builder()
        .scheme(url.scheme())
        .authority(&url[Position::BeforeHost..Position::AfterPort])
        .path_and_query(&url[Position::BeforePath..Position::AfterQuery])
        .build();
    uri.ok()
        .filter(|uri| uri.host() == url.host_str() && uri.port_u16() == url.port())
        .ok_or(FetchError::InvalidUrl(
            "it has characters that HTTP does not allow",
        ))
}

const TOO_LONG: &str = "it is longer than 8 KiB";

/// Parses a URL as browsers do (WHATWG): decimal, octal and hexadecimal spellings of an IPv4 address,
/// and look-alike digits, become the plain address.
pub(super) fn parse(text: &str) -> Result<Url, FetchError> {
    if text.is_empty() {
        return Err(FetchError::InvalidUrl("it is empty"));
    }
    check_text(text)?;
    Url::parse(&keep_backslashes(text)?).map_err(unparsable)
}

/// Escapes the backslashes of a path, which the parser would read as slashes. A backslash before the
/// path is refused: in `http://a\\@b/` browsers read the host `a`, and other clients the host `b`.
fn keep_backslashes(text: &str) -> Result<Cow<'_, str>, FetchError> {
    if !text.contains('\\') {
        return Ok(text.into());
    }
    let (before, path) = text.split_at(path_start(text));
    if before.contains('\\') {
        return Err(FetchError::InvalidUrl("it has a backslash before its path"));
    }
    let (path, rest) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    Ok(format!("{before}{}{rest}", path.replace('\\', "%5C")).into())
}

/// The start of the path in a URL, or in a reference relative to a URL.
fn path_start(text: &str) -> usize {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = match text.trim_start().split_once(':') {
        Some((scheme, rest)) if !scheme.is_empty() && scheme.chars().all(is_of_scheme) => {
            text.len() - rest.len()
        }
        _ => 0,
    };
    let after = &text[scheme..];
    if scheme == 0 && !after.trim_start().starts_with("//") {
        return 0;
    }
    let host = text.len() - after.trim_start_matches(['/', '\\', ' ']).len();
    let authority = text[host..].find(['/', '?', '#']);
    authority.map_or(text.len(), |length| host + length)
}

/// Refuses control characters and long texts. The parser would silently drop line breaks and tabs,
/// which attackers use to pass a filter.
fn check_text(text: &str) -> Result<(), FetchError> {
    if text.len() > MAX_URL {
        return Err(FetchError::InvalidUrl(TOO_LONG));
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(FetchError::InvalidUrl("it has control characters"));
    }
    Ok(())
}

fn unparsable(error: ParseError) -> FetchError {
    FetchError::InvalidUrl(match error {
        ParseError::RelativeUrlWithoutBase => "it must begin with http:// or https://",
        ParseError::EmptyHost => "it has no host",
        ParseError::InvalidPort => "its port is not a number up to 65535",
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => {
            "its host is not a valid IP address"
        }
        ParseError::IdnaError | ParseError::InvalidDomainCharacter => {
            "its host is not a valid name"
        }
        _ => "it cannot be parsed",
    })
}

/// Checks literal addresses, which never reach the resolver. A name is checked when it is resolved,
/// except `localhost`, which always means this machine (RFC 6761 section 6.3).
fn check_host(url: &Url, rule: Rule) -> Result<(), FetchError> {
    let forbidden = match url.host().map(|host| without_final_dot(host.to_owned())) {
        None => return Err(FetchError::InvalidUrl("it has no host")),
        Some(Host::Ipv4(address)) => rule(address.into()),
        Some(Host::Ipv6(address)) => rule(address.into()),
        Some(Host::Domain(name)) => match name.trim_end_matches('.') {
            "" => return Err(FetchError::InvalidUrl("it has no host")),
            name => name == "localhost" || name.ends_with(".localhost"),
        },
    };
    if forbidden {
        Err(FetchError::ForbiddenAddress)
    } else {
        Ok(())
    }
}
