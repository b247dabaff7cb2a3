//! The parts that submit, run and change tasks.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::aws::Lazy;
use crate::celery::builtins::with_builtins;
use crate::celery::format::CeleryFormat;
use crate::config::ConfigError;
use crate::dead_letters::{LetterHandler, LetterReader};
use crate::invoke::Invoker;
use crate::jobs::{self, BulkSeal, ChangeTasks};
use crate::remote::bodies::Bodies;
use crate::remote::job::{Ways, with_remote};
use crate::remote::progress::{ProgressLinks, ProgressTokens};
use crate::tasks::client::{BulkClient, Canceller, Reader, Reporter, Submitter};
use crate::tasks::counts::CountStore;
use crate::tasks::delay::{Delays, Targets};
use crate::tasks::format::Format;
use crate::tasks::metrics::Counter;
use crate::tasks::queue::{DeadLetters, TaskQueue};
use crate::tasks::registry::Registry;
use crate::tasks::store::TaskStore;
use crate::tasks::worker::{DeadLetterHandler, Runner, Worker};
use crate::web::submission::SubmissionIds;

/// The timeout of an invocation of a function with a job's body: Lambda's longest. The attempt's own time
/// ends a call before.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

impl App {
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
}
