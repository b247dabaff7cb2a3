//! From a text to a URL that may be fetched, and the way to fetch it.

use url::{Host, Origin, ParseError, Url};

use super::allow::{AllowList, plain};
use super::error::FetchError;
use super::resolve::Rule;

/// The longest URL that is fetched, in bytes. RFC 9110 section 4.1 asks for at least 8,000.
pub const MAX_URL: usize = 8 * 1024;

/// What a fetcher may fetch.
pub(super) enum Scope {
    /// Public addresses, and the hosts of the list.
    Public(AllowList),
    /// One origin of the configuration, wherever it is.
    Trusted(Origin),
}

/// How a URL is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Only to addresses that pass the check.
    Checked,
    /// To any address, since the operator named the host.
    Open,
}

/// A URL that may be fetched.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) route: Route,
}

impl Target {
    /// Judges a URL as it came from a caller.
    pub(super) fn new(text: &str, scope: &Scope, rule: Rule) -> Result<Self, FetchError> {
        Self::admit(parse(text)?, scope, rule)
    }

    /// Judges the `Location` of a redirect, which may be relative to this URL.
    pub(super) fn redirect(
        &self,
        to: &[u8],
        scope: &Scope,
        rule: Rule,
    ) -> Result<Self, FetchError> {
        self.join(to)
            .and_then(|url| Self::admit(url, scope, rule))
            .map_err(FetchError::of_redirect)
    }

    fn join(&self, to: &[u8]) -> Result<Url, FetchError> {
        let to = std::str::from_utf8(to).map_err(|_| FetchError::InvalidUrl("it is not UTF-8"))?;
        check_text(to)?;
        self.url.join(to).map_err(unparsable)
    }

    /// The same for one that was parsed already.
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
        // The parser escapes and resolves, so that its result can be longer than the text.
        if url.as_str().len() > MAX_URL {
            return Err(FetchError::InvalidUrl(TOO_LONG));
        }
        url.set_fragment(None);
        let route = scope.route(&url, rule)?;
        Ok(Self { url, route })
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

const TOO_LONG: &str = "it is longer than 8 KiB";

/// Parses as browsers do (WHATWG): decimal, octal and hexadecimal spellings of an IPv4 address
/// and look-alike digits all become the address they mean.
pub(super) fn parse(text: &str) -> Result<Url, FetchError> {
    if text.is_empty() {
        return Err(FetchError::InvalidUrl("it is empty"));
    }
    check_text(text)?;
    Url::parse(text).map_err(unparsable)
}

/// The parser would silently drop line breaks and tabs; what needs that is not a URL but an
/// attempt to pass a filter.
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

/// Literal addresses never reach the resolver, so they are judged here. Names are judged when they
/// are resolved, except `localhost`, which must mean this machine whatever a resolver says
/// (RFC 6761 section 6.3).
fn check_host(url: &Url, rule: Rule) -> Result<(), FetchError> {
    let forbidden = match url.host().map(|host| plain(host.to_owned())) {
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
