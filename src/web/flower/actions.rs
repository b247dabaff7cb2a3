//! Revocation, and what has no meaning here.

use lambda_http::{Body, Request, Response};

use super::Flower;
use super::arguments::{flag, required};
use super::failure::Failure;
use super::path::Setting;
use crate::json::Json;
use crate::tasks::client::CancelOutcome;
use crate::tasks::id::TaskId;
use crate::web::{Extract, StatusCode, answer};

impl Flower {
    /// Revokes a task: one that waits, and with `stop` also one that runs. Whoever sees all tasks also revokes a task whose
    /// message is still to come, as in Celery.
    pub(super) async fn revoke(
        &self,
        request: &Request,
        id: &str,
        (stop, done): (bool, &str),
    ) -> Result<Response<Body>, Failure> {
        let unknown = || Failure::unknown("task", id);
        let task = TaskId::parse(id).ok_or_else(unknown)?;
        let viewer = request.viewer();
        let outcome = match (viewer.only().is_some(), stop) {
            (true, true) => self.canceller.cancel(viewer, &task).await?,
            (true, false) => self.canceller.cancel_waiting(viewer, &task).await?,
            (false, true) => self.canceller.revoke(&task).await?,
            (false, false) => self.canceller.revoke_waiting(&task).await?,
        };
        if matches!(outcome, CancelOutcome::Unknown) {
            return Err(unknown());
        }
        let message = Json::object([("message", Json::from(format!("{done} '{id}'")))]);
        Ok(answer::raw(StatusCode::OK, message.to_string()))
    }

    /// `POST /api/task/revoke/{id}`. The signal is that of the worker's own.
    pub(super) async fn revoke_task(
        &self,
        request: &Request,
        id: &str,
    ) -> Result<Response<Body>, Failure> {
        let terminate = flag(request, "terminate")?;
        self.revoke(request, id, (terminate, "Revoked")).await
    }

    /// Limits of a task at a worker, which are set elsewhere.
    pub(super) fn setting(
        &self,
        request: &Request,
        setting: Setting,
        name: &str,
    ) -> Result<Response<Body>, Failure> {
        let worker = required(request, "workername")?;
        if setting == Setting::RateLimit {
            required(request, "ratelimit")?;
        }
        if !self.knows(name) {
            return Err(Failure::unknown("task", name));
        }
        self.worker_named(&worker)?;
        Err(Failure::forbidden(match setting {
            Setting::TimeLimit => {
                "Failed to set timeouts: 'a time limit is set with the job or with the task'"
            }
            Setting::RateLimit => "Failed to set rate limit: 'a task has no rate limit'",
        }))
    }

    /// What a worker of Celery does to its processes and queues.
    pub(super) fn worker_action(&self, worker: &str) -> Result<Response<Body>, Failure> {
        self.worker_named(worker)?;
        let reason = "Lambda scales the worker, and the stack's template sets its queues";
        Err(Failure::forbidden(format!(
            "Failed to change '{worker}': {reason}"
        )))
    }
}
