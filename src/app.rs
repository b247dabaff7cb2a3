//! What a function works with: clients that are built once per cold start and shared by every
//! invocation of the process.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::auth::authorizer::Authorizer;
use crate::config::{Config, ConfigError};
use crate::fetch::{Fetcher, Limits};
use crate::log;
use crate::metrics;
use crate::queue::{DeadLetters, TaskQueue};
use crate::schedule::{Schedules, Targets};
use crate::store::{ApiKeyStore, ItemStore, TaskStore, UserStore};
use crate::users::{Upstream, Users};

/// One attempt of a call to AWS. DynamoDB and SQS answer in milliseconds; a connection that died
/// unseen must not eat a request's whole time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The maker of a function's parts. Each part reads its own configuration, so a function needs only
/// the variables of what it uses.
pub struct App {
    config: Config,
    aws: SdkConfig,
}

impl App {
    /// Starts logging, and prepares calls to AWS with the credentials that Lambda puts into the
    /// environment.
    ///
    /// # Errors
    /// When `AWS_REGION` is missing.
    pub fn from_env() -> Result<App, ConfigError> {
        let config = Config::from_env();
        log::init(&config);
        let aws = aws_config(&config)?;
        Ok(App { config, aws })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The table of items.
    pub fn items(&self) -> Result<ItemStore, ConfigError> {
        Ok(ItemStore::new(self.dynamodb(), self.config.items_table()?))
    }

    /// Starts writing metrics, for the parts that have some.
    pub fn metrics(&self) {
        metrics::init(&self.config);
    }

    /// Users, read through the upstream if there is one.
    pub fn users(&self) -> Result<Users, ConfigError> {
        self.metrics();
        let store = UserStore::new(self.dynamodb(), self.config.users_table()?);
        let timeout = self.config.users_upstream_timeout()?;
        let upstream = self
            .config
            .users_upstream(|url| Upstream::new(url, timeout))?;
        Ok(Users::new(store, upstream, self.config.users_fresh()?))
    }

    /// The table of tasks.
    pub fn tasks(&self) -> Result<TaskStore, ConfigError> {
        let retention = self.config.retention()?;
        Ok(TaskStore::new(
            self.dynamodb(),
            self.config.tasks_table()?,
            retention,
        ))
    }

    /// The queue of tasks.
    pub fn queue(&self) -> Result<TaskQueue, ConfigError> {
        self.metrics();
        let normal = self.config.tasks_queue_url()?;
        let high = self.config.tasks_high_queue_url();
        let high = high.unwrap_or_else(|| normal.clone());
        Ok(TaskQueue::new(self.sqs(), normal, high))
    }

    /// The queue of messages that nobody can work on.
    pub fn dead_letters(&self) -> Result<DeadLetters, ConfigError> {
        Ok(DeadLetters::new(
            self.sqs(),
            self.config.dead_letters_queue_url()?,
        ))
    }

    /// The schedules of tasks, if there are any.
    pub fn schedules(&self) -> Option<Schedules> {
        let group = self.config.schedule_group()?;
        let client = aws_sdk_scheduler::Client::new(&self.aws);
        Some(Schedules::new(client, group))
    }

    /// The same, with what they send to.
    pub fn scheduling(&self) -> Result<Option<(Schedules, Targets)>, ConfigError> {
        let schedules = self.schedules();
        let targets = schedules.map(|schedules| Ok((schedules, self.config.schedule_targets()?)));
        targets.transpose()
    }

    /// The table of API keys.
    pub fn api_keys(&self) -> Result<ApiKeyStore, ConfigError> {
        let table = self.config.api_keys_table()?;
        Ok(ApiKeyStore::new(self.dynamodb(), table))
    }

    /// What knows callers by their keys.
    pub fn authorizer(&self) -> Result<Authorizer, ConfigError> {
        let keep = self.config.key_cache()?;
        Ok(Authorizer::new(
            self.config.auth_mode()?,
            self.api_keys()?,
            keep,
        ))
    }

    /// The client for URLs that users name.
    pub fn fetcher(&self) -> Result<Fetcher, ConfigError> {
        self.metrics();
        Ok(Fetcher::public(
            Limits::default(),
            self.config.fetch_allow_hosts()?,
        ))
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.aws)
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.aws)
    }
}

/// The SDK's configuration, put together by hand: the SDK's own loader brings profiles, SSO and the
/// instance metadata service, none of which Lambda has, and reads the system's certificates, which
/// takes most of a small function's start.
fn aws_config(config: &Config) -> Result<SdkConfig, ConfigError> {
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.aws_region()?))
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(
            credentials,
        ))
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(timeouts.build())
        .http_client(http_client());
    let aws = match config.aws_endpoint_url() {
        Some(url) => aws.endpoint_url(url),
        None => aws,
    };
    Ok(aws.build())
}

/// One pool of connections for all AWS clients, that trusts only what AWS endpoints are signed by.
fn http_client() -> SharedHttpClient {
    let roots = TrustStore::empty().with_pem_certificate(include_bytes!("amazon-roots.pem"));
    let builder =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => builder.tls_context(context).build_https(),
        // Cannot happen with the certificates above; the system's would do as well.
        Err(_) => builder.build_https(),
    }
}
