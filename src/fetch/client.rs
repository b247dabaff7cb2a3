//! The HTTP clients, made when they are first needed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::dns::Resolve;
use reqwest::{Certificate, Client, ClientBuilder, Response};

use super::Limits;
use super::address::is_forbidden;
use super::body::ENCODINGS;
use super::error::FetchError;
use super::resolve::{Checked, Rule, System, Together};
use super::target::{Route, Target};

const USER_AGENT: &str = concat!("async-service/", env!("CARGO_PKG_VERSION"));

/// JSON first, since that is what `/fetch/` and the upstream answer with; anything else for jobs
/// that read CSV or text.
const ACCEPT_JSON_FIRST: HeaderValue = HeaderValue::from_static("application/json, */*;q=0.8");

/// How long an unused connection is kept. Short, since the environment of a Lambda function is
/// frozen between invocations and many servers close after a minute or less.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The outside world as a fetcher sees it; tests put their own in its place.
pub(super) struct Network {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) is_forbidden: Rule,
    /// Certificates that are trusted beside the system's.
    pub(super) extra_roots: Vec<Certificate>,
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

/// One client per route, so that the pool of one never serves the other: a connection that was
/// opened without a check, to an allowed `host:port`, cannot be taken for a checked one.
pub(super) struct Clients {
    network: Network,
    connect_timeout: Duration,
    pool_per_host: usize,
    checked: BySchemes,
    open: BySchemes,
}

/// The client for `http` trusts no certificate, and so need not read any: that is nine tenths of what
/// making a client costs, and of what a first fetch does.
#[derive(Default)]
struct BySchemes {
    http: OnceLock<Result<Client, FetchError>>,
    https: OnceLock<Result<Client, FetchError>>,
}

impl Clients {
    pub(super) fn new(limits: &Limits, network: Network) -> Self {
        let resolver = Arc::new(Together::new(network.resolver));
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

    /// Makes one request, without following a redirect.
    pub(super) async fn send(&self, target: &Target) -> Result<Response, FetchError> {
        let client = self.client(target)?;
        let response = client.get(target.url.clone()).send().await?;
        self.check_peer(target.route, &response)?;
        Ok(response)
    }

    /// Once more, with the address that the connection really has. Nothing is known that leads
    /// here with a forbidden one; should something change below, no byte of its answer gets out.
    fn check_peer(&self, route: Route, response: &Response) -> Result<(), FetchError> {
        match (route, response.remote_addr()) {
            (Route::Checked, Some(peer)) if self.rule()(peer.ip()) => {
                Err(FetchError::ForbiddenAddress)
            }
            _ => Ok(()),
        }
    }

    fn client(&self, target: &Target) -> Result<&Client, FetchError> {
        let clients = match target.route {
            Route::Checked => &self.checked,
            Route::Open => &self.open,
        };
        let made = match target.url.scheme() {
            "https" => clients.https.get_or_init(|| {
                let roots = self.network.extra_roots.iter().cloned();
                // Reads the system's certificates (or those of `SSL_CERT_FILE`), which takes
                // milliseconds.
                self.build(target.route, |client| client.tls_certs_merge(roots))
            }),
            _ => clients
                .http
                .get_or_init(|| self.build(target.route, |client| client.tls_certs_only([]))),
        };
        made.as_ref().map_err(Clone::clone)
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

    fn build(
        &self,
        route: Route,
        trust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, FetchError> {
        // The client takes the process's provider and has none of its own. An error only means
        // that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        trust(Client::builder())
            .dns_resolver(self.resolver(route))
            .user_agent(USER_AGENT)
            .default_headers(HeaderMap::from_iter([
                (ACCEPT, ACCEPT_JSON_FIRST),
                (ACCEPT_ENCODING, ENCODINGS),
            ]))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(self.pool_per_host)
            .build()
            .map_err(|error| {
                tracing::error!(%error, "the HTTP client could not be made");
                FetchError::Setup
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_for_https_alone() {
        let clients = Clients::new(&Limits::default(), Network::default());
        let url = "http://127.0.0.1/".parse().unwrap();
        let route = Route::Open;
        assert!(clients.client(&Target { url, route }).is_ok());
        assert!(clients.open.http.get().is_some() && clients.open.https.get().is_none());
        assert!(clients.checked.http.get().is_none() && clients.checked.https.get().is_none());
    }
}
