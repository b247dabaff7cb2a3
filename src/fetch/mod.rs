//! Outbound HTTP: the only module that calls URLs written by callers and other services.
//!
//! Such a URL could reach hosts that only this service can reach (server-side request forgery), so
//! nothing in the URL is trusted:
//!
//! * Only `http` and `https`, no credentials, no port 0, at most [`MAX_URL`] bytes.
//! * Only public addresses (see [`is_forbidden`]). A literal address is checked in the URL, a name
//!   when it is resolved. The client connects to the checked address. The target of each redirect is
//!   checked like the first URL. An [`AllowList`] permits named hosts.
//! * Limits on the time, the redirects, the head and the decompressed body. The limits hold while an
//!   answer streams in: no answer is in memory before its size is checked.
//! * No header of a caller but the ids of the trace (`traceparent`), no cookie, no `Referer`, no proxy from the environment.
//!
//! A [`Fetcher`] and its pool of connections live as long as the process. A pooled connection goes to
//! an address that was checked when the connection was opened. `GET` is the only method for the URLs of
//! callers; [`Fetcher::post`] is for the URLs of the operator.
//!
//! The modules in the order of a fetch: `target` checks a URL, `client` sends the request (`connect`
//! opens connections, `resolve` checks addresses), `head` and `body` read and decompress, `answer`
//! enforces the limits, `many` fetches many URLs at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

pub use address::is_forbidden;
pub use allow::{AllowList, BadAllowEntry};
pub use answer::{Download, Fetched};
pub use error::FetchError;
pub use many::FetchMany;
pub use target::MAX_URL;

use client::{Clients, Network};

use target::{Scope, Target};

use crate::trace::Trace;

mod address;
mod allow;
mod answer;
mod body;
mod client;
mod connect;
mod error;
mod head;
mod many;
mod metrics;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

/// The largest head of an answer, in bytes of its header names and values.
pub const MAX_HEAD: usize = 64 * 1024;

/// The most headers of an answer.
pub const MAX_HEADERS: usize = 256;

/// The limits of one fetch, and of all fetches together. [`Limits::default`] fits a Lambda function
/// behind an API Gateway.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest time of opening a connection: name resolution, TCP and TLS together. Default 5 s.
    pub connect_timeout: Duration,
    /// The longest time of one [`Fetcher::get`] from its start to the last byte, redirects included,
    /// and of [`Fetcher::open`] until the head of the answer is complete. Default 10 s, since an API
    /// Gateway answers 504 after 30 s.
    pub timeout: Duration,
    /// The longest wait for the next piece of a [`Download`]. Default 10 s.
    pub idle_timeout: Duration,
    /// The largest body of a [`Fetcher::get`], in bytes after decompression. Default 5 MiB, since a
    /// Lambda function may answer at most 6 MB.
    pub max_body: usize,
    /// The most redirects of one fetch. Default 5.
    pub max_redirects: usize,
    /// The most concurrent fetches of all [`Fetcher::fetch_many`] streams of a fetcher, and the most
    /// bodies of a stream in memory. Default 64.
    pub total_concurrency: usize,
    /// The most concurrent fetches of one stream from one host and port. Default 16, so that a slow
    /// host leaves three quarters of the slots to other hosts.
    pub per_host_concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            max_body: 5 * 1024 * 1024,
            max_redirects: 5,
            total_concurrency: 64,
            per_host_concurrency: 16,
        }
    }
}

/// A request with a body, which may arrive more than once.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// The headers beside those of every request.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a Bytes,
}

/// Fetches URLs. Cheap to build and to clone: clones share one connection pool, the first fetch builds
/// the HTTP client, and the first `https` fetch reads the system's certificates.
///
/// A fetcher belongs to one Tokio runtime, since the runtime drives its pooled connections.
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
    /// The trace of the requests.
    trace: Option<Arc<Trace>>,
}

struct Shared {
    limits: Limits,
    scope: Scope,
    clients: Clients,
    /// The slots of all `fetch_many` streams.
    slots: Arc<Semaphore>,
}

impl Fetcher {
    /// A fetcher for callers' URLs: public addresses, and the hosts of the allow-list.
    pub fn public(limits: Limits, allow: AllowList) -> Self {
        Self::new(limits, Scope::Public(allow), Network::default())
    }

    /// A fetcher for the operator's upstream, which may have a private address. Only URLs with the
    /// scheme, host and port of `base` are fetched, and no redirect to another origin is followed.
    ///
    /// # Errors
    ///
    /// `base` is not an http or https URL, or has credentials.
    pub fn trusted(limits: Limits, base: &str) -> Result<Self, FetchError> {
        Self::trusted_in(limits, base, Network::default())
    }

    fn trusted_in(limits: Limits, base: &str, network: Network) -> Result<Self, FetchError> {
        let scope = Scope::Trusted(target::parse(base)?.origin());
        Target::new(base, &scope, network.is_forbidden)?;
        Ok(Self::new(limits, scope, network))
    }

    fn new(limits: Limits, scope: Scope, network: Network) -> Self {
        // More permits than a semaphore can have would panic.
        let slots = limits.total_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let clients = Clients::new(&limits, network);
        let slots = Arc::new(Semaphore::new(slots));
        Self {
            shared: Arc::new(Shared {
                limits,
                scope,
                clients,
                slots,
            }),
            trace: None,
        }
    }

    /// The same fetcher, whose requests go on in a trace: with the header `traceparent`, and with `tracestate`
    /// where the URL is the operator's own.
    pub fn in_trace(&self, trace: Option<&Trace>) -> Fetcher {
        Fetcher {
            shared: Arc::clone(&self.shared),
            trace: trace.cloned().map(Arc::new),
        }
    }

    /// Fetches one URL, follows redirects, and returns the last answer whatever its status. A redirect
    /// status without `Location` counts as an answer.
    ///
    /// # Errors
    ///
    /// See [`FetchError`]. Each of the [`Limits`] has an error of its own.
    pub async fn get(&self, url: &str) -> Result<Fetched, FetchError> {
        self.get_parsed(target::parse(url)).await
    }

    async fn get_parsed(&self, url: Result<Url, FetchError>) -> Result<Fetched, FetchError> {
        let started = Instant::now();
        let fetched = self.get_unmeasured(url).await;
        self.count(fetched.as_ref().map(|fetched| fetched.status), started);
        fetched
    }

    async fn get_unmeasured(&self, url: Result<Url, FetchError>) -> Result<Fetched, FetchError> {
        let Shared { scope, clients, .. } = &*self.shared;
        let target = Target::admit(url?, scope, clients.rule())?;
        let whole = async {
            let (url, response) = self.follow(target).await?;
            answer::read(url, response, self.shared.limits.max_body).await
        };
        timeout(self.shared.limits.timeout, whole)
            .await
            .map_err(|_| FetchError::Timeout)?
    }

    /// Sends a request of the operator's own to one URL, and returns the answer whatever its status. A
    /// redirect is an answer, and is not followed. `time` is for the whole call, `max_body` in bytes after
    /// decompression.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::get`].
    pub async fn post(
        &self,
        url: &str,
        post: Post<'_>,
        time: Duration,
        max_body: usize,
    ) -> Result<Fetched, FetchError> {
        let started = Instant::now();
        let whole = async {
            let target = self.target(url)?;
            let response = self.send(&target, Some(&post)).await?;
            head::check(&response)?;
            answer::read(target.url, response, max_body).await
        };
        let posted = timeout(time, whole).await;
        let posted = posted.map_err(|_| FetchError::Timeout).flatten();
        let status = posted.as_ref().map(|posted| posted.status);
        metrics::called("body", status, started.elapsed());
        posted
    }

    /// Requests one URL and returns its body as pieces to be read, up to `max_body` bytes after
    /// decompression. The total time is not limited, only the wait for each piece.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::get`], until the head of the answer is complete.
    pub async fn open(&self, url: &str, max_body: u64) -> Result<Download, FetchError> {
        let started = Instant::now();
        let opened = self.open_unmeasured(url, max_body).await;
        self.count(opened.as_ref().map(|opened| opened.status), started);
        opened
    }

    async fn open_unmeasured(&self, url: &str, max_body: u64) -> Result<Download, FetchError> {
        let target = self.target(url)?;
        let limits = &self.shared.limits;
        let (url, response) = timeout(limits.timeout, self.follow(target))
            .await
            .map_err(|_| FetchError::Timeout)??;
        Download::new(url, response, max_body, limits.idle_timeout)
    }

    /// Fetches many URLs at once. The stream gives each URL's index in the list and its result, in
    /// the order in which the fetches finish. The concurrency is limited in total and per host, see
    /// [`Limits`]. A slow host does not delay other hosts, and a slow reader of the stream only delays
    /// new fetches. Dropping the stream cancels the running fetches.
    pub fn fetch_many<I>(&self, urls: I) -> FetchMany
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        FetchMany::new(self.clone(), urls.into_iter().map(Into::into))
    }

    fn count(&self, answered: Result<u16, &FetchError>, started: Instant) {
        let target = match self.shared.scope {
            Scope::Public(_) => "url",
            Scope::Trusted(_) => "upstream",
        };
        metrics::called(target, answered, started.elapsed());
    }

    fn target(&self, url: &str) -> Result<Target, FetchError> {
        Target::new(url, &self.shared.scope, self.shared.clients.rule())
    }

    async fn send(
        &self,
        target: &Target,
        post: Option<&Post<'_>>,
    ) -> Result<Response<Incoming>, FetchError> {
        let trace = self.trace.as_deref();
        self.shared.clients.send(target, post, trace).await
    }

    /// Requests a target and follows its redirects, until an answer is not a redirect.
    async fn follow(&self, mut target: Target) -> Result<(Url, Response<Incoming>), FetchError> {
        let Shared {
            limits,
            scope,
            clients,
            ..
        } = &*self.shared;
        for _ in 0..=limits.max_redirects {
            let response = self.send(&target, None).await?;
            head::check(&response)?;
            match head::location(&response) {
                Some(to) => target = target.redirect(&to, scope, clients.rule())?,
                None => return Ok((target.url, response)),
            }
        }
        Err(FetchError::TooManyRedirects(limits.max_redirects))
    }
}
