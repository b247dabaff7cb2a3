//! Outbound HTTP: the one place that makes calls for a URL that somebody else wrote.
//!
//! Such a URL is a request to use this service's place in the network, so nothing about it is
//! trusted:
//!
//! * Only `http` and `https`, no credentials, no port 0, at most [`MAX_URL`] bytes.
//! * Only public addresses (see [`is_forbidden`]). A literal address is judged in the URL, a name
//!   when it is resolved, and the address that was judged is the one connected to. Redirects are
//!   followed by hand and each one is judged anew. An [`AllowList`] opens named hosts.
//! * Bounds on the time, the redirects, the head and the body after decompression, all while
//!   streaming: no answer is held in memory before it is measured.
//! * No header of a caller, no cookie, no `Referer`, no proxy of the environment.
//!
//! A [`Fetcher`] lives as long as the process and with it a pool of connections. A pooled
//! connection goes to an address that was judged when it was opened. Only `GET` is made.
//!
//! Data flows down this list: `target` judges a URL, `client` sends (`connect` opens connections,
//! `resolve` judges the addresses), `head` and `body` read and decompress, `answer` keeps to the
//! bounds, `many` does it for many URLs at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;
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

/// How many headers an answer may have.
pub const MAX_HEADERS: usize = 256;

/// What one fetch, and all fetches together, may use. [`Limits::default`] fits a Lambda function
/// behind an API Gateway.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For one connection: name resolution, TCP and TLS together. Default 5 s.
    pub connect_timeout: Duration,
    /// For one [`Fetcher::get`] from its start to the last byte, redirects included, and for
    /// [`Fetcher::open`] until the head of the answer is there. Default 10 s, since an API Gateway
    /// gives up after 30 s.
    pub timeout: Duration,
    /// For the next piece of a [`Download`]. Default 10 s.
    pub idle_timeout: Duration,
    /// The largest body of a [`Fetcher::get`], in bytes after decompression. Default 5 MiB, since a
    /// Lambda answer stops at 6 MB.
    pub max_body: usize,
    /// How many redirects are followed. Default 5.
    pub max_redirects: usize,
    /// How many fetches of all [`Fetcher::fetch_many`] streams of a fetcher run at once. A stream
    /// holds at most so many bodies in memory. Default 64.
    pub total_concurrency: usize,
    /// How many fetches of one stream go to one host and port at once. Default 16, so that a slow
    /// host leaves three quarters of the places to others.
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

/// Fetches URLs. Cheap to make and to clone: clones share one connection pool, the HTTP client is
/// only made at the first fetch, and the system's certificates are only read for the first of `https`.
///
/// A fetcher belongs to one Tokio runtime, since the runtime drives its pooled connections.
#[derive(Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    scope: Scope,
    clients: Clients,
    /// Places for the fetches of `fetch_many`.
    places: Arc<Semaphore>,
}

impl Fetcher {
    /// For URLs that come from outside: public addresses, and the hosts of the allow-list.
    pub fn public(limits: Limits, allow: AllowList) -> Self {
        Self::new(limits, Scope::Public(allow), Network::default())
    }

    /// For an upstream of the operator's own, which may have a private address. Only URLs with the
    /// scheme, host and port of `base` are fetched, whatever ends up in them, and no redirect is
    /// followed to another origin.
    ///
    /// # Errors
    ///
    /// `base` is no http or https URL, or has credentials.
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
        let places = limits.total_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let clients = Clients::new(&limits, network);
        let places = Arc::new(Semaphore::new(places));
        Self {
            shared: Arc::new(Shared {
                limits,
                scope,
                clients,
                places,
            }),
        }
    }

    /// Fetches one URL, following redirects, and returns the last answer whatever its status: what
    /// a 404 means is for the caller to say. A redirect status without `Location` is an answer too.
    ///
    /// # Errors
    ///
    /// See [`FetchError`]; each bound of the [`Limits`] has its own.
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

    /// Opens one URL and leaves the body to be read piece by piece, up to `max_body` bytes after
    /// decompression. The total time is not bounded, only the wait for each piece.
    ///
    /// # Errors
    ///
    /// As [`Fetcher::get`], until the head of the answer is there.
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

    /// Fetches many URLs at once. The stream gives each URL's place in the list and its result, in
    /// the order in which they finish. Bounded in total and per host, see [`Limits`]; a slow host
    /// does not hold up the others, and a slow reader of the stream only delays new fetches.
    /// Dropping the stream ends what is under way.
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

    /// Requests a target and what it redirects to, until an answer is not a redirect.
    async fn follow(&self, mut target: Target) -> Result<(Url, Response<Incoming>), FetchError> {
        let Shared {
            limits,
            scope,
            clients,
            ..
        } = &*self.shared;
        for _ in 0..=limits.max_redirects {
            let response = clients.send(&target).await?;
            head::check(&response)?;
            match head::location(&response) {
                Some(to) => target = target.redirect(&to, scope, clients.rule())?,
                None => return Ok((target.url, response)),
            }
        }
        Err(FetchError::TooManyRedirects(limits.max_redirects))
    }
}
