//! Builds the stores and clients of a function, once per cold start. All invocations of the process share
//! them.

mod celery;
mod serve;
mod tasks;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};

use crate::auth::AuthMode;
use crate::auth::authorizer::Authorizer;
use crate::auth::store::ApiKeyStore;
use crate::aws::{Aws, Lazy};
use crate::celery::outbox::pairs;
use crate::config::{Config, ConfigError};
use crate::dynamodb;
use crate::emf;
use crate::fetch::{AllowList, Fetcher, Limits};
use crate::invoke::Invoker;
use crate::items::ItemStore;
use crate::log;
use crate::schedules::client::Schedules;
use crate::schedules::hand_out::HandOut;
use crate::schedules::store::ScheduleStore;
use crate::schedules::ticker::Ticker;
use crate::stats::{self, Stats};
use crate::tasks::depths::Depths;
use crate::users::{Upstream, UserStore, Users};
use crate::web::routes::RouteFunctions;

/// The timeout of an invocation of another function: a second less than the integration time-out of the
/// gateway, 30 s.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(29);

/// Builds the parts (stores and clients) of a function. Each part reads its own configuration, so a
/// function needs only the variables of its own parts.
pub struct App {
    config: Config,
    /// Built for the first part that calls AWS. A function without such a part is not linked with the SDK.
    aws: OnceCell<Aws>,
    /// The clients that several parts share.
    dynamodb: OnceCell<aws_sdk_dynamodb::Client>,
    sqs: OnceCell<Lazy<aws_sdk_sqs::Client>>,
    /// By endpoint, the futures that open the connections of the parts built so far.
    opening: RefCell<BTreeMap<String, LocalBoxFuture<'static, ()>>>,
}

impl App {
    /// Reads the environment and starts logging.
    ///
    /// # Errors
    /// None yet: a missing variable is reported when its part is built.
    pub fn from_env() -> Result<App, ConfigError> {
        let config = Config::from_env();
        log::init(&config);
        Ok(App {
            config,
            aws: OnceCell::new(),
            dynamodb: OnceCell::new(),
            sqs: OnceCell::new(),
            opening: RefCell::default(),
        })
    }

    /// Opens the encrypted connections of the parts built so far, see [`Aws::preconnect`].
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

    /// Starts writing metrics. Called by each part with metrics.
    fn metrics(&self) {
        emf::init(&self.config);
    }

    /// The table of users, read through the upstream if an upstream is configured.
    pub fn users(&self) -> Result<Users, ConfigError> {
        self.metrics();
        let store = UserStore::new(self.dynamodb()?, self.config.users_table()?);
        let timeout = self.config.users_upstream_timeout()?;
        let upstream = self.config.users_upstream();
        let upstream = upstream.parse_by(|url| Upstream::new(url, timeout))?;
        Ok(Users::new(store, upstream, self.config.users_fresh()?))
    }

    /// The schedules, to be read and deleted.
    pub fn readable_schedules(&self) -> Result<Schedules, ConfigError> {
        Ok(Schedules::readable(self.schedule_store()?))
    }

    /// The schedules, to be created, changed and run.
    pub fn schedules(&self) -> Result<Schedules, ConfigError> {
        // Only a run at once sends a message.
        self.late_sqs()?;
        Ok(Schedules::new(self.hand_out()?))
    }

    /// The ticker of schedules.
    pub fn ticker(&self) -> Result<Ticker, ConfigError> {
        Ok(Ticker::new(self.hand_out()?, self.counts()?))
    }

    /// The numbers of tasks, queues and schedules.
    pub fn stats(&self) -> Result<Stats, ConfigError> {
        let dead_letters = self.config.dead_letters_queue_url()?;
        let dead_letters = vec![("dead-letters".to_owned(), dead_letters)];
        Ok(Stats {
            tasks: self.reader()?,
            counts: self.counts()?,
            queues: Depths::new(self.sqs()?, self.received_queues()?),
            dead_letters: Depths::new(self.sqs()?, dead_letters),
            schedules: self.readable_schedules()?,
        })
    }

    /// The names and URLs of the queues that the worker receives from.
    fn received_queues(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let named = |name: &str, url: String| (name.to_owned(), url);
        let celery = self.config.celery_own_queues().parse_by(pairs)?;
        let high = self.config.tasks_high_queue_url();
        let own = [
            Some(named(stats::QUEUE, self.config.tasks_queue_url()?)),
            high.map(|url| named(stats::HIGH_QUEUE, url)),
        ];
        let own = own.into_iter().flatten();
        Ok(own.chain(celery.into_iter().flatten()).collect())
    }

    fn hand_out(&self) -> Result<HandOut, ConfigError> {
        Ok(HandOut {
            schedules: self.schedule_store()?,
            tasks: self.submitter()?,
            celery: self.celery_outbox()?,
        })
    }

    fn schedule_store(&self) -> Result<ScheduleStore, ConfigError> {
        let table = self.config.schedules_table()?;
        Ok(ScheduleStore::new(self.dynamodb()?, table))
    }

    /// The table of API keys.
    pub fn api_keys(&self) -> Result<ApiKeyStore, ConfigError> {
        let table = self.config.api_keys_table()?;
        Ok(ApiKeyStore::new(self.dynamodb()?, table))
    }

    /// The authorizer, which identifies callers by their API keys.
    pub fn authorizer(&self) -> Result<Authorizer, ConfigError> {
        let mode = self.config.auth_mode().parse()?.unwrap_or_default();
        let keep = self.config.key_cache()?;
        Ok(Authorizer::new(mode, self.api_keys()?, keep))
    }

    /// The HTTP client for callers' URLs.
    pub fn fetcher(&self) -> Result<Fetcher, ConfigError> {
        self.metrics();
        let allowed = self.config.fetch_allow_hosts().parse::<AllowList>()?;
        Ok(Fetcher::public(
            Limits::default(),
            allowed.unwrap_or_default(),
        ))
    }

    /// Invokes the functions of the routes, if their names are configured. With tokens there is no
    /// invoker: only the gateway checks tokens.
    ///
    /// # Errors
    /// When a variable has an invalid value, or the region or the credentials are missing.
    pub fn route_functions(&self) -> Result<Option<RouteFunctions>, ConfigError> {
        if self.config.auth_mode().parse()? == Some(AuthMode::Jwt) {
            return Ok(None);
        }
        self.config.functions().parse_by(|names| {
            let endpoint = self.config.lambda_endpoint_url();
            let aws = self.aws_for("lambda").map_err(|error| error.to_string())?;
            let invoker = Invoker::new(&aws.config, endpoint, INVOCATION_TIMEOUT);
            RouteFunctions::new(invoker, names)
        })
    }

    /// The client of DynamoDB.
    fn dynamodb(&self) -> Result<aws_sdk_dynamodb::Client, ConfigError> {
        let client = match self.dynamodb.get() {
            Some(client) => client,
            None => {
                let client = dynamodb::client(&self.aws_for("dynamodb")?.config);
                self.dynamodb.get_or_init(|| client)
            }
        };
        Ok(client.clone())
    }

    /// The client of SQS.
    pub fn sqs(&self) -> Result<Lazy<aws_sdk_sqs::Client>, ConfigError> {
        match self.sqs.get() {
            Some(client) => Ok(client.clone()),
            None => Ok(self.late_sqs()?.built()),
        }
    }

    /// As [`App::sqs`], for a function whose first event seldom calls SQS: the connection is opened during the
    /// start all the same, and the first call builds the client.
    fn late_sqs(&self) -> Result<Lazy<aws_sdk_sqs::Client>, ConfigError> {
        let config = self.aws_for("sqs")?.config.clone();
        let client = || Lazy::new(move || aws_sdk_sqs::Client::new(&config));
        Ok(self.sqs.get_or_init(client).clone())
    }

    fn aws_for(&self, service: &str) -> Result<&Aws, ConfigError> {
        let aws = self.aws()?;
        let endpoint = aws.endpoint(service);
        // Only a TLS handshake is worth the early connection.
        if endpoint.starts_with("https:") {
            let opening = Box::pin(aws.preconnect(&endpoint));
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
