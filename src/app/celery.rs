//! The parts that speak with Celery's clients.

use crate::app::App;
use crate::celery::apply::Applier;
use crate::celery::builtins::is_builtin;
use crate::celery::control::{Control, Replies};
use crate::celery::ends::Ends;
use crate::celery::outbox::Outbox;
use crate::celery::remote::{Accept, RemoteBodies};
use crate::celery::store::ResultStore;
use crate::config::ConfigError;
use crate::jobs;
use crate::remote::bodies::Bodies;
use crate::tasks::depths::Depths;
use crate::web::flower::{Flower, Workers};

impl App {
    /// The queues of Celery's messages, if any are configured.
    pub(super) fn celery_outbox(&self) -> Result<Option<Outbox>, ConfigError> {
        let (sqs, routes) = (self.sqs()?, self.config.celery_routes());
        let queues = self.config.celery_queues();
        queues.parse_by(|queues| Outbox::new(sqs, queues, &routes))
    }

    /// The tasks of Celery whose bodies run elsewhere. `is_own` says whether a job of this name runs here.
    pub(super) fn celery_bodies(
        &self,
        bodies: &Bodies,
        is_own: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<RemoteBodies, ConfigError> {
        let accept = self.config.celery_accept().parse_by(Accept::new)?;
        Ok(remote_bodies(bodies, is_own, accept.unwrap_or_default()))
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
    pub(super) fn celery_ends(&self) -> Result<Option<Ends>, ConfigError> {
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
