//! The errors of a fetch, and the HTTP status of each.

use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy::Error as ClientError;

use super::connect::{ConnectTimeout, Unresolved};
use super::resolve::ForbiddenName;
use super::{MAX_HEAD, MAX_HEADERS};

/// Why a fetch failed. The message is for the caller of the API: it names the fault of the URL or of
/// the answer, and never the address of a resolved name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The text is not an absolute URL that can be fetched.
    #[error("The URL is not valid: {0}")]
    InvalidUrl(&'static str),
    /// A scheme other than `http` and `https`.
    #[error("Only http and https URLs can be fetched")]
    UnsupportedScheme,
    /// A user name or password in the URL.
    #[error("A URL with a user name or password is not fetched")]
    Credentials,
    /// The URL, or a redirect on its way, leads to an address that is not public.
    #[error("The URL leads to an address that this service must not fetch")]
    ForbiddenAddress,
    /// A trusted fetcher was given a URL of another origin.
    #[error("The URL is not one of the configured upstream")]
    ForeignOrigin,
    /// More redirects than [`Limits::max_redirects`](super::Limits::max_redirects).
    #[error("The URL redirects more than {0} times")]
    TooManyRedirects(usize),
    /// A redirect to a URL that cannot be fetched.
    #[error("The URL redirects to a place that cannot be fetched: {0}")]
    BadRedirect(&'static str),
    /// The host's name has no address.
    #[error("The host name of the URL could not be resolved")]
    Dns,
    /// No connection: refused, unreachable, or closed before the request.
    #[error("The host of the URL could not be connected to")]
    Connect,
    /// No trusted TLS connection.
    #[error("A trusted TLS connection to the host of the URL was not possible: {0}")]
    Tls(&'static str),
    /// The timeout of connecting, of the whole fetch, or of the next piece of a download passed.
    #[error("The URL did not answer in time")]
    Timeout,
    /// The connection ended before the answer did.
    #[error("The host of the URL closed the connection before its answer was complete")]
    Interrupted,
    /// The answer breaks the rules of HTTP, or comes in a transfer coding other than `chunked`.
    #[error("The host of the URL did not answer in acceptable HTTP")]
    Protocol,
    /// The head of the answer exceeds [`MAX_HEADERS`] or [`MAX_HEAD`].
    #[error(
        "The answer has more than {MAX_HEADERS} headers, or they are larger than {MAX_HEAD} bytes"
    )]
    HeadersTooLarge,
    /// The decompressed body is larger than this limit in bytes.
    #[error("The answer's body is larger than {0} bytes")]
    BodyTooLarge(u64),
    /// The body's compression is broken.
    #[error("The answer's body is not in the encoding that its Content-Encoding names, or is cut")]
    BadEncoding,
    /// The body has an encoding that the request did not offer.
    #[error("The answer's body has the encoding {0}, and only gzip, br and deflate were asked for")]
    UnknownEncoding(&'static str),
    /// The body has more encodings, applied one after the other, than this limit.
    #[error("The answer's body has more than {0} encodings on top of each other")]
    TooManyEncodings(usize),
    /// This service cannot make requests, for example because the system has no certificates.
    #[error("This service is not able to fetch URLs")]
    Setup,
}

impl FetchError {
    /// The HTTP status of this service's answer: 4xx for a fault of the caller's URL, 502 or 504 for
    /// a fault of the URL's server, 500 for a fault of this service.
    pub fn status(&self) -> u16 {
        match self {
            Self::InvalidUrl(_) | Self::UnsupportedScheme | Self::Credentials => 400,
            Self::ForbiddenAddress | Self::ForeignOrigin => 403,
            Self::Timeout => 504,
            Self::Setup => 500,
            _ => 502,
        }
    }

    /// A stable name of the error for programs. It stays when the message changes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidUrl(_) => "invalid_url",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::Credentials => "credentials_in_url",
            Self::ForbiddenAddress => "forbidden_address",
            Self::ForeignOrigin => "foreign_origin",
            Self::TooManyRedirects(_) => "too_many_redirects",
            Self::BadRedirect(_) => "bad_redirect",
            Self::Dns => "dns_failure",
            Self::Connect => "connect_failed",
            Self::Tls(_) => "tls_failed",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Protocol => "protocol_error",
            Self::HeadersTooLarge => "headers_too_large",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::BadEncoding | Self::UnknownEncoding(_) | Self::TooManyEncodings(_) => {
                "bad_encoding"
            }
            Self::Setup => "setup_failed",
        }
    }

    /// True if a later fetch of the same URL may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Dns | Self::Connect | Self::Timeout | Self::Interrupted
        )
    }

    /// The meaning of an error of the HTTP client, by the types in its chain of causes and never by
    /// their texts.
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        let client = error.downcast_ref::<ClientError>();
        if find::<ForbiddenName>(error).is_some() {
            Self::ForbiddenAddress
        } else if find::<ConnectTimeout>(error).is_some() {
            Self::Timeout
        } else if let Some(tls) = find::<rustls::Error>(error) {
            tls_fault(tls)
        } else if find::<Unresolved>(error).is_some() {
            Self::Dns
        } else if client.is_some_and(ClientError::is_connect) {
            Self::Connect
        } else if let Some(http) = find::<hyper::Error>(error) {
            http_fault(http)
        } else {
            Self::Protocol
        }
    }

    /// This error for the target of a redirect, which is a fault of the URL's server and not of the
    /// caller. A forbidden address keeps its error: the caller may have set up the redirect.
    pub(super) fn of_redirect(self) -> Self {
        match self {
            Self::InvalidUrl(reason) => Self::BadRedirect(reason),
            Self::UnsupportedScheme => Self::BadRedirect("it is not an http or https URL"),
            Self::Credentials => Self::BadRedirect("it has a user name or password"),
            Self::ForeignOrigin => Self::BadRedirect("it is not of the configured upstream"),
            other => other,
        }
    }
}

fn tls_fault(error: &rustls::Error) -> FetchError {
    FetchError::Tls(match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            "its certificate is not valid"
        }
        _ => "the handshake failed",
    })
}

fn http_fault(error: &hyper::Error) -> FetchError {
    if error.is_parse_too_large() {
        return FetchError::HeadersTooLarge;
    }
    if error.is_parse() {
        return FetchError::Protocol;
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return FetchError::Interrupted;
    }
    // The HTTP/1 decoder reports a broken chunk size as an I/O error of these two kinds.
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) | None => {
            FetchError::Protocol
        }
        Some(_) => FetchError::Interrupted,
    }
}

/// The first error of type `E` in a chain of causes. `source()` skips the error inside of an I/O
/// error, so that inner error is visited too.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
