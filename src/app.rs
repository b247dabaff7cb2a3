//! What a function works with: clients that are built once per cold start and shared by every
//! invocation of the process.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use futures_util::future::{LocalBoxFuture, join_all};

use crate::auth::authorizer::Authorizer;
use crate::aws::Aws;
use crate::config::{Config, ConfigError};
use crate::fetch::{Fetcher, Limits};
use crate::log;
use crate::metrics;
use crate::queue::{DeadLetters, TaskQueue};
use crate::schedule::{Schedules, Targets};
use crate::store::{ApiKeyStore, ItemStore, TaskStore, UserStore};
use crate::users::{Upstream, Users};

/// The maker of a function's parts. Each part reads its own configuration, so a function needs only
/// the variables of what it uses.
pub struct App {
    config: Config,
    /// Made for the first part that calls AWS; a function without one is not even linked with it.
    aws: OnceCell<Aws>,
    /// What opens the connections that the parts built so far will use, by the endpoints.
    opening: RefCell<BTreeMap<String, LocalBoxFuture<'static, ()>>>,
}

impl App {
    /// Starts logging.
    ///
    /// # Errors
    /// None yet; what is missing is found when the part is built that needs it.
    pub fn from_env() -> Result<App, ConfigError> {
        let config = Config::from_env();
        log::init(&config);
        Ok(App {
            config,
            aws: OnceCell::new(),
            opening: RefCell::default(),
        })
    }

    /// Opens the connections that the parts built so far will use, where they are encrypted; see
    /// [`Aws::open`].
    pub async fn connect(&self) {
        let opening = self.opening.take();
        join_all(opening.into_values()).await;
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The table of items.
    pub fn items(&self) -> Result<ItemStore, ConfigError> {
        Ok(ItemStore::new(self.dynamodb()?, self.config.items_table()?))
    }

    /// Starts writing metrics, for the parts that have some.
    pub fn metrics(&self) {
        metrics::init(&self.config);
    }

    /// Users, read through the upstream if there is one.
    pub fn users(&self) -> Result<Users, ConfigError> {
        self.metrics();
        let store = UserStore::new(self.dynamodb()?, self.config.users_table()?);
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
            self.dynamodb()?,
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
        Ok(TaskQueue::new(self.sqs()?, normal, high))
    }

    /// The queue of messages that nobody can work on.
    pub fn dead_letters(&self) -> Result<DeadLetters, ConfigError> {
        Ok(DeadLetters::new(
            self.sqs()?,
            self.config.dead_letters_queue_url()?,
        ))
    }

    /// The schedules of tasks, if there are any.
    pub fn schedules(&self) -> Result<Option<Schedules>, ConfigError> {
        let Some(group) = self.config.schedule_group() else {
            return Ok(None);
        };
        // Few tasks have one, so its connection waits for the first.
        let client = aws_sdk_scheduler::Client::new(&self.aws()?.config);
        Ok(Some(Schedules::new(client, group)))
    }

    /// The same, with what they send to.
    pub fn scheduling(&self) -> Result<Option<(Schedules, Targets)>, ConfigError> {
        let schedules = self.schedules()?;
        let targets = schedules.map(|schedules| Ok((schedules, self.config.schedule_targets()?)));
        targets.transpose()
    }

    /// The table of API keys.
    pub fn api_keys(&self) -> Result<ApiKeyStore, ConfigError> {
        let table = self.config.api_keys_table()?;
        Ok(ApiKeyStore::new(self.dynamodb()?, table))
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

    fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, ConfigError> {
        let aws = self.aws_for("dynamodb")?;
        Ok(aws_sdk_dynamodb::Client::new(&aws.config))
    }

    fn sqs(&self) -> Result<aws_sdk_sqs::Client, ConfigError> {
        let aws = self.aws_for("sqs")?;
        Ok(aws_sdk_sqs::Client::new(&aws.config))
    }

    fn aws_for(&self, service: &str) -> Result<&Aws, ConfigError> {
        let aws = self.aws()?;
        let endpoint = aws.endpoint(service);
        // A handshake is what costs; without one a connection may wait for the first call.
        if endpoint.starts_with("https:") {
            let opening = Box::pin(aws.open(&endpoint));
            self.opening.borrow_mut().insert(endpoint, opening);
        }
        Ok(aws)
    }

    fn aws(&self) -> Result<&Aws, ConfigError> {
        if let Some(aws) = self.aws.get() {
            return Ok(aws);
        }
        let aws = Aws::new(&self.config)?;
        Ok(self.aws.get_or_init(|| aws))
    }
}
