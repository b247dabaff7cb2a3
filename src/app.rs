//! Builds the stores and clients of a function, once per cold start. All invocations of the process share
//! them.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};

use crate::auth::AuthMode;
use crate::auth::authorizer::Authorizer;
use crate::auth::store::ApiKeyStore;
use crate::aws::{Aws, Lazy};
use crate::celery::apply::Applier;
use crate::celery::builtins::{is_builtin, with_builtins};
use crate::celery::control::{Control, Replies};
use crate::celery::ends::Ends;
use crate::celery::format::CeleryFormat;
use crate::celery::outbox::{Outbox, pairs};
use crate::celery::remote::{Accept, RemoteBodies};
use crate::celery::store::ResultStore;
use crate::config::{Config, ConfigError};
use crate::consumer;
use crate::dead_letters::{LetterHandler, LetterReader};
use crate::dynamodb::{self, StoreError};
use crate::emf;
use crate::fetch::{AllowList, Fetcher, Limits};
use crate::invoke::Invoker;
use crate::items::ItemStore;
use crate::jobs::{self, BulkSeal, ChangeTasks};
use crate::log;
use crate::remote::bodies::Bodies;
use crate::remote::job::{Ways, with_remote};
use crate::remote::progress::{ProgressLinks, ProgressTokens};
use crate::schedules::client::Schedules;
use crate::schedules::hand_out::HandOut;
use crate::schedules::store::ScheduleStore;
use crate::schedules::ticker::Ticker;
use crate::stats::{self, Stats};
use crate::tasks::client::{BulkClient, Canceller, Reader, Reporter, Submitter};
use crate::tasks::counts::CountStore;
use crate::tasks::delay::{Delays, Targets};
use crate::tasks::depths::Depths;
use crate::tasks::format::Format;
use crate::tasks::metrics::Counter;
use crate::tasks::queue::{DeadLetters, TaskQueue};
use crate::tasks::registry::Registry;
use crate::tasks::store::TaskStore;
use crate::tasks::worker::{DeadLetterHandler, Delivery, Runner, Worker};
use crate::users::{Upstream, UserStore, Users};
use crate::web::flower::{Flower, Workers};
use crate::web::guard::{Access, Guard};
use crate::web::routes::RouteFunctions;
use crate::web::submission::SubmissionIds;
use crate::web::{self, HttpError};

/// The timeout of an invocation of another function: a second less than the integration time-out of the
/// gateway, 30 s.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(29);

/// The timeout of an invocation of a function with a job's body: Lambda's longest. The attempt's own time
/// ends a call before.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

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

    /// The client that reads tasks.
    pub fn reader(&self) -> Result<Reader, ConfigError> {
        Ok(Reader::new(self.tasks()?))
    }

    /// The numbers of tasks.
    pub fn counts(&self) -> Result<CountStore, ConfigError> {
        Ok(self.tasks()?.counts())
    }

    /// The client that reports the progress of tasks.
    pub fn reporter(&self) -> Result<Reporter, ConfigError> {
        Ok(Reporter::new(self.tasks()?))
    }

    /// The client that lists dead letters.
    pub fn letter_reader(&self) -> Result<LetterReader, ConfigError> {
        Ok(LetterReader::new(self.dead_letters()?, self.tasks()?))
    }

    /// The client that runs the tasks of dead letters again, or deletes letters.
    pub fn letter_handler(&self) -> Result<LetterHandler, ConfigError> {
        Ok(LetterHandler {
            letters: self.dead_letters()?,
            tasks: self.tasks()?,
            submitter: self.submitter()?,
            queue: self.queue()?,
            celery: self.celery_outbox()?,
        })
    }

    /// The client that submits tasks, with delays up to SQS' longest delay.
    pub fn submitter(&self) -> Result<Submitter, ConfigError> {
        Ok(Submitter::new(self.queue()?, self.tasks()?, None))
    }

    /// The client that submits tasks, with any delay.
    pub fn delaying_submitter(&self) -> Result<Submitter, ConfigError> {
        let delays = self.delays_with_targets()?;
        Ok(Submitter::new(self.queue()?, self.tasks()?, delays))
    }

    /// The ids of submissions with an idempotency key.
    pub fn submission_ids(&self) -> SubmissionIds {
        SubmissionIds::new(self.config.id_secret().as_deref())
    }

    /// The client that cancels tasks.
    pub fn canceller(&self) -> Result<Canceller, ConfigError> {
        Ok(Canceller::new(self.tasks()?, self.delays()?, self.queue()?))
    }

    /// The client that cancels and retries many tasks.
    pub fn bulk_client(&self) -> Result<BulkClient, ConfigError> {
        let (tasks, submitter) = (self.tasks()?, self.submitter()?);
        Ok(BulkClient::new(tasks, submitter, self.canceller()?))
    }

    /// The seal of tasks that change many tasks.
    ///
    /// # Errors
    /// When there is no secret to make the seal of.
    pub fn bulk_seal(&self) -> Result<BulkSeal, ConfigError> {
        let secret = self.config.id_secret();
        let secret = secret.ok_or(ConfigError::Missing("ID_SECRET"))?;
        Ok(BulkSeal::new(&secret))
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

    /// The queues of Celery's messages, if any are configured.
    fn celery_outbox(&self) -> Result<Option<Outbox>, ConfigError> {
        let (sqs, routes) = (self.sqs()?, self.config.celery_routes());
        let queues = self.config.celery_queues();
        queues.parse_by(|queues| Outbox::new(sqs, queues, &routes))
    }

    fn schedule_store(&self) -> Result<ScheduleStore, ConfigError> {
        let table = self.config.schedules_table()?;
        Ok(ScheduleStore::new(self.dynamodb()?, table))
    }

    /// The consumer of the task queues.
    ///
    /// # Errors
    /// When a variable is not set, or the system gives no thread for jobs.
    pub fn worker(&self) -> Result<Worker, lambda_runtime::Error> {
        let jobs = jobs::registry(&self.fetcher()?);
        let change_tasks = ChangeTasks::new(self.bulk_client()?, self.bulk_seal()?);
        self.worker_of(jobs.with(change_tasks))
    }

    /// As [`App::worker`], for other jobs.
    ///
    /// # Errors
    /// As [`App::worker`].
    pub fn worker_of(&self, jobs: Registry) -> Result<Worker, lambda_runtime::Error> {
        let (mut jobs, mut queue) = (jobs, self.queue()?);
        let bodies = self.remote_jobs()?;
        let mut formats: Vec<Arc<dyn Format>> = Vec::new();
        let ends = self.celery_ends()?;
        let takes_celery = ends.is_some();
        if let Some(ends) = ends {
            queue = queue.receiving_from(ends.outbox.urls().map(str::to_owned));
            let own = jobs.clone();
            let remote = self.celery_bodies(&bodies, move |name| own.find(name).is_some())?;
            let format = CeleryFormat::new(ends, self.config.celery_track_started()?);
            formats.push(Arc::new(format.with_remote(remote)));
        }
        if !bodies.is_empty() {
            jobs = with_remote(jobs, &bodies, self.ways(formats.clone())?);
        }
        if takes_celery {
            jobs = with_builtins(jobs);
        }
        Ok(Worker {
            tasks: self.tasks()?,
            queue,
            dead_letters: self.dead_letters()?,
            jobs,
            runner: Runner::start()?.into(),
            lease: self.config.lease()?,
            counter: Counter::new(self.counts()?),
            name: self.config.worker_name(),
            formats,
            delays: self.delays_with_targets()?,
        })
    }

    /// The jobs whose bodies run elsewhere.
    ///
    /// # Errors
    /// When the variable has an invalid value.
    pub fn remote_jobs(&self) -> Result<Bodies, ConfigError> {
        Ok(self.config.remote_jobs().parse()?.unwrap_or_default())
    }

    /// The tasks of Celery whose bodies run elsewhere. `is_own` says whether a job of this name runs here.
    fn celery_bodies(
        &self,
        bodies: &Bodies,
        is_own: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<RemoteBodies, ConfigError> {
        let accept = self.config.celery_accept().parse_by(Accept::new)?;
        Ok(remote_bodies(bodies, is_own, accept.unwrap_or_default()))
    }

    /// The tokens with which bodies report their progress; `None` without a secret to make them of.
    pub fn progress_tokens(&self) -> Option<ProgressTokens> {
        let secret = self.config.id_secret();
        secret.as_deref().map(ProgressTokens::new)
    }

    /// The ways to bodies that run elsewhere.
    fn ways(&self, formats: Vec<Arc<dyn Format>>) -> Result<Ways, ConfigError> {
        let endpoint = self.config.lambda_endpoint_url();
        // Few workers call functions, so this connection is not opened during the start.
        let invoker = Invoker::new(&self.aws()?.config, endpoint, LONGEST_INVOCATION);
        let secrets = self.config.remote_secrets().parse()?;
        let base = self.config.public_url();
        let links = base.zip(self.progress_tokens());
        Ok(Ways {
            invoker,
            fetcher: self.fetcher()?,
            secrets: secrets.unwrap_or_default(),
            links: links.map(|(base, tokens)| ProgressLinks::new(base, tokens)),
            formats,
        })
    }

    /// The worker that answers Celery's remote control.
    ///
    /// # Errors
    /// When a variable is not set, or the first queue's URL does not end with the queue's name.
    pub fn celery_control(&self) -> Result<Control, ConfigError> {
        self.celery_control_of(jobs::names())
    }

    /// As [`App::celery_control`], for a worker with other jobs.
    ///
    /// # Errors
    /// As [`App::celery_control`].
    pub fn celery_control_of(
        &self,
        jobs: impl Iterator<Item = &'static str>,
    ) -> Result<Control, ConfigError> {
        let (sqs, queues) = (self.sqs()?, self.config.celery_own_queues());
        let replies = queues.parse_by(|queues| Replies::new(sqs, queues))?;
        Ok(Control::new(
            self.config.celery_hostname(),
            jobs,
            self.reader()?,
            self.canceller()?,
            self.celery_results()?
                .ok_or(ConfigError::Missing("CELERY_RESULTS_TABLE"))?,
            replies.ok_or(ConfigError::Missing("CELERY_OWN_QUEUES"))?,
        ))
    }

    /// What answers in Flower's place.
    ///
    /// # Errors
    /// When a variable is not set, or has an invalid value.
    pub fn flower(&self) -> Result<Flower, ConfigError> {
        let (reader, bodies) = (self.reader()?, self.remote_jobs()?);
        let queues = self.received_queues()?;
        let (names, urls): (Vec<_>, Vec<_>) = queues.iter().cloned().unzip();
        let hostname = self.config.celery_hostname();
        Ok(Flower {
            canceller: self.canceller()?,
            applier: self.celery_applier(&bodies, urls)?,
            workers: Workers::new(&hostname, jobs::names(), names, bodies, &reader),
            queues: Depths::new(self.sqs()?, queues),
            counts: self.counts()?,
            reader,
        })
    }

    /// Submits tasks of Celery, if its clients may submit tasks. `own` are the URLs of the queues that the worker
    /// receives from.
    fn celery_applier(
        &self,
        bodies: &Bodies,
        own: Vec<String>,
    ) -> Result<Option<Applier>, ConfigError> {
        let Some(outbox) = self.celery_outbox()? else {
            return Ok(None);
        };
        let is_own = |name: &str| jobs::names().any(|own| own == name);
        Ok(Some(Applier {
            submitter: self.delaying_submitter()?,
            outbox,
            own,
            bodies: remote_bodies(bodies, is_own, Accept::default()),
        }))
    }

    /// What the ends of Celery's tasks need, if Celery's clients may submit tasks.
    fn celery_ends(&self) -> Result<Option<Ends>, ConfigError> {
        let Some(results) = self.celery_results()? else {
            return Ok(None);
        };
        let outbox = self.celery_outbox()?;
        let outbox = outbox.ok_or(ConfigError::Missing("CELERY_QUEUES"))?;
        Ok(Some(Ends {
            results,
            outbox,
            extended: self.config.celery_result_extended()?,
        }))
    }

    /// Celery's table of results, if Celery's clients may submit tasks.
    fn celery_results(&self) -> Result<Option<ResultStore>, ConfigError> {
        let Some(table) = self.config.celery_results_table() else {
            return Ok(None);
        };
        let time = self.config.celery_result_time()?;
        let results = ResultStore::new(self.dynamodb()?, table, time);
        Ok(Some(results.with_prefix(self.config.celery_key_prefix())))
    }

    /// The consumer of undelivered messages: moved out of the task queues after too many receives, or not
    /// sent by EventBridge Scheduler.
    pub fn dead_letter_handler(&self) -> Result<DeadLetterHandler, ConfigError> {
        self.metrics();
        let mut formats: Vec<Arc<dyn Format>> = Vec::new();
        if let Some(ends) = self.celery_ends()? {
            let is_own = |name: &str| jobs::names().any(|own| own == name);
            let remote = self.celery_bodies(&self.remote_jobs()?, is_own)?;
            formats.push(Arc::new(CeleryFormat::new(ends, false).with_remote(remote)));
        }
        Ok(DeadLetterHandler {
            tasks: self.tasks()?,
            dead_letters: self.dead_letters()?,
            formats,
        })
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

    /// Answers requests of authenticated callers to `route` with `handler`, until Lambda ends the process.
    /// `parts` are the stores and clients of the handler.
    ///
    /// # Errors
    /// When the configuration of the access is wrong, or the Lambda Runtime API cannot be reached.
    pub async fn serve<P, H>(
        &self,
        route: &'static str,
        parts: P,
        handler: H,
    ) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&P, web::Request) -> Result<web::Response<web::Body>, HttpError>,
    {
        let guard = self.guard_of_callers()?;
        self.connect().await;
        web::serve(guard, route, parts, handler).await
    }

    /// The guard of a route for authenticated callers.
    fn guard_of_callers(&self) -> Result<Guard<'_>, ConfigError> {
        let guard = Guard::new(&self.config, Access::Callers)?;
        Ok(guard.with_key_check(|| self.authorizer()))
    }

    /// As [`App::serve`], with another access than authenticated callers only. A request without an
    /// authorizer context is not checked by its key, so a function that is open to everybody is not
    /// linked with the AWS SDK.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_to<P, H>(
        &self,
        access: Access,
        route: &'static str,
        parts: P,
        handler: H,
    ) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&P, web::Request) -> Result<web::Response<web::Body>, HttpError>,
    {
        let guard = Guard::new(&self.config, access)?;
        self.connect().await;
        web::serve(guard, route, parts, handler).await
    }

    /// As [`App::serve`], for routes that are not in the OpenAPI document, some of them open to others than
    /// callers. These are named by their keys in the gateway, such as `GET /healthcheck`.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_undocumented<P, H>(
        &self,
        open: &[(Access, &'static str)],
        route: &'static str,
        parts: P,
        handler: H,
    ) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&P, web::Request) -> Result<web::Response<web::Body>, HttpError>,
    {
        let guard = self.guard_of_callers()?;
        let guard = guard.with_open_routes(&self.config, open)?;
        self.connect().await;
        web::serve(guard, route, parts, handler).await
    }

    /// Calls `handler` with each batch of a queue, until Lambda ends the process; see
    /// [`consumer::run`].
    ///
    /// # Errors
    /// When the Lambda Runtime API cannot be reached.
    pub async fn consume<H>(&self, handler: H) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(Vec<Delivery>, u64) -> Vec<String>,
    {
        self.connect().await;
        consumer::run(handler).await
    }

    /// Calls `handler` with each message of an SNS topic, until Lambda ends the process; see
    /// [`consumer::run_notified`].
    ///
    /// # Errors
    /// When the Lambda Runtime API cannot be reached.
    pub async fn notified<H>(&self, handler: H) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&str) -> Result<(), StoreError>,
    {
        self.connect().await;
        consumer::run_notified(handler).await
    }

    /// Calls `handler` at each time of a rule, with the invocation's deadline, until Lambda ends the process;
    /// see [`consumer::run_timed`].
    ///
    /// # Errors
    /// When the Lambda Runtime API cannot be reached.
    pub async fn timed<H>(&self, handler: H) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(u64) -> Result<(), StoreError>,
    {
        self.connect().await;
        consumer::run_timed(handler).await
    }

    /// The table of tasks.
    fn tasks(&self) -> Result<TaskStore, ConfigError> {
        let retention = self.config.retention()?;
        let table = self.config.tasks_table()?;
        Ok(TaskStore::new(self.dynamodb()?, table, retention))
    }

    /// The queues of tasks.
    fn queue(&self) -> Result<TaskQueue, ConfigError> {
        self.metrics();
        let normal = self.config.tasks_queue_url()?;
        let high = self.config.tasks_high_queue_url();
        let high = high.unwrap_or_else(|| normal.clone());
        Ok(TaskQueue::new(self.sqs()?, normal, high))
    }

    /// The dead-letter queue.
    fn dead_letters(&self) -> Result<DeadLetters, ConfigError> {
        let url = self.config.dead_letters_queue_url()?;
        Ok(DeadLetters::new(self.sqs()?, url))
    }

    /// The one-time schedules of tasks, if their group is configured.
    fn delays(&self) -> Result<Option<Delays>, ConfigError> {
        let Some(group) = self.config.schedule_group() else {
            return Ok(None);
        };
        // Few tasks need a schedule, so neither the client is built nor its connection opened during the start.
        let config = self.aws()?.config.clone();
        let client = Lazy::new(move || aws_sdk_scheduler::Client::new(&config));
        Ok(Some(Delays::new(client, group)))
    }

    /// The one-time schedules of tasks with their targets, if their group is configured.
    fn delays_with_targets(&self) -> Result<Option<(Delays, Targets)>, ConfigError> {
        let delays = self.delays()?;
        let delays = delays.map(|delays| Ok((delays, self.delay_targets()?)));
        delays.transpose()
    }

    fn delay_targets(&self) -> Result<Targets, ConfigError> {
        Ok(Targets {
            role: self.config.schedule_role_arn()?,
            normal: self.config.tasks_queue_arn()?,
            high: self.config.tasks_high_queue_arn()?,
            undelivered: self.config.undelivered_queue_arn()?,
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

/// The tasks of Celery whose bodies run elsewhere; `is_own` says whether a job of this name runs here.
fn remote_bodies(
    bodies: &Bodies,
    is_own: impl Fn(&str) -> bool + Send + Sync + 'static,
    accept: Accept,
) -> RemoteBodies {
    let bodies = bodies.clone();
    let is_remote =
        move |name: &str| !is_own(name) && !is_builtin(name) && bodies.find(name).is_some();
    RemoteBodies::new(is_remote, accept)
}
