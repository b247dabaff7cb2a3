//! The connections of a fetcher: name resolution with its check, TCP and TLS, all within one timeout.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::resolve::{BoxError, Resolve};

/// The connect timeout passed before the connection was open.
#[derive(Debug, thiserror::Error)]
#[error("the connection was not opened in time")]
pub(super) struct ConnectTimeout;

/// A name without an address, or with a forbidden address.
#[derive(Debug, thiserror::Error)]
#[error("the name was not resolved")]
pub(super) struct Unresolved(#[source] BoxError);

/// Connects to the host of a URI.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector<NameService>>,
    limit: Duration,
}

impl Connector {
    pub(super) fn new(resolver: Arc<dyn Resolve>, tls: ClientConfig, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(NameService(resolver));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among the addresses of a name, so that a dead address leaves time for the next.
        tcp.set_connect_timeout(Some(limit));
        let inner = (tcp, tls).into();
        Self { inner, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.limit, self.inner.call(uri));
        Box::pin(async move { connecting.await.map_err(|_| ConnectTimeout)? })
    }
}

/// The resolver as a service for the connector. Port 0 stands for the port of the URI.
#[derive(Clone)]
struct NameService(Arc<dyn Resolve>);

impl Service<Name> for NameService {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.resolve(name.as_str());
        Box::pin(async move {
            let found = found.await.map_err(Unresolved)?;
            if found.is_empty() {
                return Err(Unresolved("the name has no address".into()));
            }
            let addresses = found.into_iter().map(|address| (address, 0).into());
            Ok(addresses.collect::<Vec<_>>().into_iter())
        })
    }
}
