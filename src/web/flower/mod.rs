//! Flower's REST API over this service, with `/healthcheck` and `/metrics`.
//!
//! The answers have the forms and the words of Flower 2.2; `tests/e2e/flower/` compares them with a real Flower.
//! `docs/FLOWER.md` says what differs. Every read and every change is the viewer's: a caller who sees only own tasks
//! finds no others here.

mod actions;
mod arguments;
mod calls;
mod failure;
mod list;
mod metrics;
mod path;
mod prometheus;
mod queues;
mod search;
mod task;
mod workers;

pub use workers::Workers;

use lambda_http::{Body, Request, Response};

use crate::celery::apply::Applier;
use crate::json::{Json, Object};
use crate::tasks::client::{Canceller, Reader};
use crate::tasks::counts::CountStore;
use crate::tasks::depths::Depths;
use crate::tasks::id::TaskId;
use crate::web::{Extract, HttpError, StatusCode, answer};
use failure::Failure;
use list::{BadQuery, Query};
use path::{Asked, Wait, asked};
use task::Shown;

#[cfg(test)]
mod tests;

/// Answers in Flower's place.
#[derive(Debug, Clone)]
pub struct Flower {
    /// Reads tasks.
    pub reader: Reader,
    /// Revokes tasks.
    pub canceller: Canceller,
    /// Submits tasks; `None` if the stack takes none of Celery's.
    pub applier: Option<Applier>,
    /// The workers.
    pub workers: Workers,
    /// The queues that the service receives from.
    pub queues: Depths,
    /// What was counted of tasks.
    pub counts: CountStore,
}

impl Flower {
    /// The answer to a request.
    ///
    /// # Errors
    /// None: refusals are answers in Flower's words.
    pub async fn answer(&self, request: &Request) -> Result<Response<Body>, HttpError> {
        let answered = match asked(request) {
            Ok(asked) => self.perform(request, asked).await,
            Err(failure) => Err(failure),
        };
        Ok(answered.unwrap_or_else(Response::from))
    }

    async fn perform(
        &self,
        request: &Request,
        asked: Asked<'_>,
    ) -> Result<Response<Body>, Failure> {
        match asked {
            Asked::Health => Ok(answer::plain(StatusCode::OK, "OK".to_owned())),
            Asked::Metrics => self.metrics(request).await,
            Asked::Tasks => self.list(request).await,
            Asked::Types => Ok(self.types()),
            Asked::Info(id) => self.info(request, id).await,
            Asked::Result(id) => self.result(request, id).await,
            Asked::Apply(wait, name) => self.apply(request, name, wait, false).await,
            Asked::Send(name) => self.apply(request, name, Wait::No, true).await,
            Asked::Revoke(id) => self.revoke_task(request, id).await,
            Asked::Abort(id) => self.revoke(request, id, (true, "Aborted")).await,
            Asked::Setting(setting, name) => self.setting(request, setting, name),
            Asked::Workers => self.list_workers(request).await,
            Asked::Worker(name) => self.worker_action(name),
            Asked::Queues => self.queue_lengths(request).await,
        }
    }

    /// `GET /api/tasks`.
    async fn list(&self, request: &Request) -> Result<Response<Body>, Failure> {
        let query = match Query::read(request) {
            Ok(query) => query,
            Err(BadQuery::Other(failure)) => return Err(failure),
            Err(BadQuery::Search(sentence)) => {
                let error = Json::object([("error", Json::from(sentence))]);
                return Ok(answer::raw(StatusCode::BAD_REQUEST, error.to_string()));
            }
        };
        let worker = |task: &str| self.workers.of(task);
        let tasks = query.tasks(&self.reader, request.viewer(), &worker).await?;
        let mut all = Object::new();
        for task in &tasks {
            all.insert(task.id.as_str(), task.to_json());
        }
        Ok(answer::raw(StatusCode::OK, Json::Object(all).to_string()))
    }

    /// `GET /api/task/info/{id}`.
    async fn info(&self, request: &Request, id: &str) -> Result<Response<Body>, Failure> {
        let found = match TaskId::parse(id) {
            Some(id) => self.reader.find(request.viewer(), &id).await?,
            None => None,
        };
        let record = found.ok_or_else(|| Failure::unknown("task", id))?;
        let shown = Shown::new(&record, |task| self.workers.of(task));
        Ok(answer::raw(StatusCode::OK, shown.to_json().to_string()))
    }

    /// `GET /api/task/types`: the names of all jobs, with the patterns of remote ones.
    fn types(&self) -> Response<Body> {
        let types = Json::object([("task-types", self.workers.types())]);
        answer::raw(StatusCode::OK, types.to_string())
    }

    /// Whether there is a task of this name.
    fn knows(&self, name: &str) -> bool {
        self.workers.know(name)
    }
}
