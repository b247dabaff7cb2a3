//! The configuration of the AWS SDK, without the SDK's own loader and HTTP client.
//!
//! The loader brings profiles, SSO and the instance metadata service, none of which Lambda has. The
//! HTTP client brings HTTP/2, which neither DynamoDB nor SQS speaks, and by default reads the system's
//! certificates, which takes most of a small function's start.

mod lazy;

pub use lazy::Lazy;

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, SharedCredentialsProvider,
    StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::ErrorKind;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as ClientError, connect};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{Config, ConfigError};

/// The timeout of one attempt of a call to AWS. DynamoDB and SQS answer in milliseconds. A connection
/// that died unnoticed must not use up a request's whole time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The time without a byte after which TCP asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The longest time that a start waits for [`Aws::preconnect`].
const PRECONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// The most attempts of a call, the first included.
const MAX_ATTEMPTS: u32 = 4;

/// The root certificates of AWS endpoints, far fewer than the system's.
const ROOTS: &[u8] = include_bytes!("amazon-roots.pem");

/// The configuration and the connection pool that all AWS clients of a process share.
pub struct Aws {
    /// The SDK's configuration.
    pub config: SdkConfig,
    pool: Pool,
}

impl Aws {
    /// Builds the SDK's configuration from the environment variables.
    ///
    /// # Errors
    /// When the region or the credentials are missing.
    pub fn new(config: &Config) -> Result<Aws, ConfigError> {
        let pool = Pool::empty();
        let config = sdk_config(config, pool.clone())?;
        Ok(Aws { config, pool })
    }

    /// The URL of the endpoint of a service, such as `dynamodb`.
    pub fn endpoint(&self, service: &str) -> String {
        let region = self.config.region().map_or("", Region::as_ref);
        let domain = match region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        let usual = || format!("https://{service}.{region}.{domain}");
        self.config.endpoint_url().map_or_else(usual, str::to_owned)
    }

    /// Opens a connection for the first call. A function starts with full CPU, and from its first event
    /// on has the share of the CPU that belongs to its memory, so a handshake during the start is many
    /// times cheaper. The request, `GET /`, needs no signature. A failure does no harm: the first call
    /// then opens a connection itself.
    pub fn preconnect(&self, endpoint: &str) -> impl Future<Output = ()> + use<> {
        let request = http::Request::get(format!("{endpoint}/")).body(SdkBody::empty());
        let client = self.pool.0.clone();
        async move {
            let Ok(request) = request else { return };
            let opening = async {
                let body = client.request(request).await?.into_body();
                // The pool reuses a connection only after its answer has been read to the end.
                body.collect()
                    .await
                    .map(drop)
                    .map_err(Into::<BoxError>::into)
            };
            match tokio::time::timeout(PRECONNECT_TIMEOUT, opening).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no connection was opened during the start")
                }
                Err(_) => tracing::debug!("no connection was opened during the start: timeout"),
            }
        }
    }
}

fn sdk_config(config: &Config, pool: Pool) -> Result<SdkConfig, ConfigError> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.aws_region()?))
        .credentials_provider(SharedCredentialsProvider::new(credentials(config)?))
        // The credentials never change in the life of a process.
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(timeouts.build())
        // This protection is for long streams. These calls transfer a few kilobytes within the timeout
        // of an attempt.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .http_client(SharedHttpClient::new(pool));
    let aws = match config.aws_endpoint_url() {
        Some(url) => aws.endpoint_url(url),
        None => aws,
    };
    Ok(aws.build())
}

/// The credentials of the function's role, which Lambda puts into the environment of each process.
fn credentials(config: &Config) -> Result<Credentials, ConfigError> {
    Ok(Credentials::new(
        config.aws_access_key_id()?,
        config.aws_secret_access_key()?,
        config.aws_session_token(),
        None,
        "environment",
    ))
}

/// The connections to AWS.
#[derive(Debug, Clone)]
struct Pool(Client<HttpsConnector<connect::HttpConnector>, SdkBody>);

impl Pool {
    /// A pool without connections, which trusts [`ROOTS`].
    fn empty() -> Pool {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(ROOTS).flatten());
        Pool::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Pool {
        let mut tcp = connect::HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A long invocation of another function is silent, and routers on the way drop silent connections.
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(roots))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Pool(Client::builder(TokioExecutor::new()).build(connector))
    }
}

/// TLS for a client that trusts these roots, with `ring` as its cryptography.
pub(crate) fn tls(roots: RootCertStore) -> ClientConfig {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into());
    match builder.with_safe_default_protocol_versions() {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        // `ring` supports the default versions of TLS.
        Err(error) => unreachable!("{error}"),
    }
}

impl HttpClient for Pool {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", None))
    }
}

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let response = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let response = response.await.map_err(connector_error)?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The error in the SDK's classes, by which the SDK decides about a retry.
fn connector_error(error: ClientError) -> ConnectorError {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<hyper::Error>());
    let is_timeout = cause.is_some_and(hyper::Error::is_timeout);
    let is_user = cause.is_some_and(hyper::Error::is_user);
    match error {
        error if is_timeout => ConnectorError::timeout(error.into()),
        error if is_user => ConnectorError::user(error.into()),
        // The connection was not opened or ended, so no answer arrived. Each write may be repeated.
        error if error.is_connect() || cause_is_transport(&error) => {
            ConnectorError::io(error.into())
        }
        error => ConnectorError::other(error.into(), Some(ErrorKind::TransientError)),
    }
}

fn cause_is_transport(error: &ClientError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
