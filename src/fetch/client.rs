//! The HTTP clients, each built at its first use.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpInfo;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::address::is_forbidden;
use super::body::ENCODINGS;
use super::connect::Connector;
use super::error::FetchError;
use super::resolve::{Checked, Resolve, Rule, SharedLookUps, System};
use super::target::{Route, Target};
use super::{Limits, MAX_HEADERS, Post};
use crate::aws;
use crate::trace::{TRACEPARENT, TRACESTATE, Trace};

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("async-service/", env!("CARGO_PKG_VERSION")));

/// JSON first, for `/fetch/` and the users' upstream; anything else for jobs that read CSV or text.
const ACCEPT_JSON_FIRST: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");

/// How long an unused connection is kept. Short, since Lambda freezes the process between invocations
/// and many servers close a connection after a minute or less.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The network of a fetcher. Tests replace it by a network of their own.
pub(super) struct Network {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) is_forbidden: Rule,
    /// Root certificates trusted in addition to the system's.
    pub(super) extra_roots: Vec<CertificateDer<'static>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            resolver: Arc::new(System),
            is_forbidden,
            extra_roots: Vec::new(),
        }
    }
}

/// The clients of a fetcher. Each [`Route`] has clients, and so a connection pool, of its own: a
/// connection that was opened without a check, to an allowed `host:port`, never serves a checked
/// request.
pub(super) struct Clients {
    network: Network,
    connect_timeout: Duration,
    pool_per_host: usize,
    checked: BySchemes,
    open: BySchemes,
}

/// Clients by the scheme of the URL. The client for `http` needs no certificates: reading the
/// certificates is nine tenths of the cost of building a client, and of a first fetch.
#[derive(Default)]
struct BySchemes {
    http: OnceLock<Result<Pair, FetchError>>,
    https: OnceLock<Result<Pair, FetchError>>,
}

type HttpClient = Client<Connector, Full<Bytes>>;

/// Two clients that connect in the same way.
struct Pair {
    /// Keeps and reuses connections.
    pooled: HttpClient,
    /// Opens a new connection for each request.
    fresh: HttpClient,
}

impl Clients {
    pub(super) fn new(limits: &Limits, network: Network) -> Self {
        let resolver = Arc::new(SharedLookUps::new(network.resolver));
        Self {
            network: Network {
                resolver,
                ..network
            },
            connect_timeout: limits.connect_timeout,
            pool_per_host: limits.per_host_concurrency.max(1),
            checked: BySchemes::default(),
            open: BySchemes::default(),
        }
    }

    pub(super) fn rule(&self) -> Rule {
        self.network.is_forbidden
    }

    /// Makes one request, without following a redirect. If the connection ends before the answer
    /// begins, the request is repeated once, over a new connection: a server may close an idle
    /// connection while the request is on its way, and a `GET` may be repeated (RFC 9110, 9.2.2). So may
    /// a [`Post`].
    pub(super) async fn send(
        &self,
        target: &Target,
        post: Option<&Post<'_>>,
        trace: Option<&Trace>,
    ) -> Result<Response<Incoming>, FetchError> {
        let Pair { pooled, fresh } = self.pair(target)?;
        let response = match request(pooled, target, post, trace).await {
            Err(FetchError::Interrupted) => request(fresh, target, post, trace).await?,
            answered => answered?,
        };
        self.check_peer(target.route, &response)?;
        Ok(response)
    }

    /// Checks the peer address of the connection itself. No way is known to reach a forbidden address
    /// here. The check makes sure that a change in the layers below leaks no byte of such an answer.
    fn check_peer(&self, route: Route, response: &Response<Incoming>) -> Result<(), FetchError> {
        let is_public = |peer: &HttpInfo| !self.rule()(peer.remote_addr().ip());
        match route == Route::Open || response.extensions().get().is_some_and(is_public) {
            true => Ok(()),
            false => Err(FetchError::ForbiddenAddress),
        }
    }

    fn pair(&self, target: &Target) -> Result<&Pair, FetchError> {
        let pairs = match target.route {
            Route::Checked => &self.checked,
            Route::Open => &self.open,
        };
        let made = match target.url.scheme() {
            "https" => pairs.https.get_or_init(|| {
                let roots = self.roots()?;
                Ok(self.build(target.route, roots))
            }),
            _ => pairs
                .http
                .get_or_init(|| Ok(self.build(target.route, RootCertStore::empty()))),
        };
        made.as_ref().map_err(Clone::clone)
    }

    /// Reads the system's certificates (or the file `SSL_CERT_FILE`), which takes milliseconds.
    fn roots(&self) -> Result<RootCertStore, FetchError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        roots.add_parsable_certificates(self.network.extra_roots.iter().cloned());
        if roots.is_empty() {
            tracing::error!(errors = ?found.errors, "there are no certificates to trust");
            return Err(FetchError::Setup);
        }
        Ok(roots)
    }

    fn resolver(&self, route: Route) -> Arc<dyn Resolve> {
        let inner = self.network.resolver.clone();
        match route {
            Route::Open => inner,
            Route::Checked => Arc::new(Checked {
                inner,
                is_forbidden: self.rule(),
            }),
        }
    }

    fn build(&self, route: Route, roots: RootCertStore) -> Pair {
        let mut tls = aws::tls(roots);
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector::new(self.resolver(route), tls, self.connect_timeout);
        let build = |idle| {
            Client::builder(TokioExecutor::new())
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .http1_max_headers(MAX_HEADERS)
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(idle)
                .build(connector.clone())
        };
        Pair {
            pooled: build(self.pool_per_host),
            fresh: build(0),
        }
    }
}

async fn request(
    client: &HttpClient,
    target: &Target,
    post: Option<&Post<'_>>,
    trace: Option<&Trace>,
) -> Result<Response<Incoming>, FetchError> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = target.uri.clone();
    if let Some(post) = post {
        *request.method_mut() = Method::POST;
        *request.headers_mut() = post.headers.clone();
        *request.body_mut() = Full::new(post.body.clone());
    }
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT, ACCEPT_JSON_FIRST);
    headers.insert(ACCEPT_ENCODING, ENCODINGS);
    if let Some(trace) = trace {
        add_trace(headers, trace, post.is_some());
    }
    let answered = client.request(request).await;
    answered.map_err(|error| FetchError::of(&error))
}

/// Adds the headers of a trace. The state is a text of a client of this service, so only the operator's own
/// URLs get it.
fn add_trace(headers: &mut HeaderMap, trace: &Trace, is_own_url: bool) {
    let state = trace.tracestate().filter(|_| is_own_url);
    let state = state.map(|state| (TRACESTATE, state.to_owned()));
    for (name, value) in [(TRACEPARENT, trace.traceparent())]
        .into_iter()
        .chain(state)
    {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::target::Scope;

    #[test]
    fn only_https_reads_certificates() {
        let clients = Clients::new(&Limits::default(), Network::default());
        let base = "http://127.0.0.1/";
        let trusted = Scope::Trusted(base.parse::<url::Url>().unwrap().origin());
        let target = Target::new(base, &trusted, is_forbidden).unwrap();
        assert!(clients.pair(&target).is_ok());
        assert!(clients.open.http.get().is_some() && clients.open.https.get().is_none());
        assert!(clients.checked.http.get().is_none() && clients.checked.https.get().is_none());
    }
}
