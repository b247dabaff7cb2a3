//! Celery's remote control: the commands of `app.control`, answered by one worker.
//!
//! A client publishes a command to the fanout exchange `celery.pidbox`, an SNS topic, and waits for replies
//! in an SQS queue of its own. Every worker of Celery takes the message and answers for itself. Here the
//! whole stack is one worker: [`Control`] reads the tables and never asks a process, so an answer is true
//! while no worker runs at all.

mod commands;
mod reply;
mod request;
mod task_info;
#[cfg(test)]
mod tests;
mod worker;

pub use reply::Replies;
pub use task_info::arguments;
pub use worker::{Listed, VirtualWorker};

use super::store::ResultStore;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::json::Json;
use crate::tasks::client::{Canceller, Reader};
use request::Request;

/// Answers commands as one worker.
#[derive(Debug, Clone)]
pub struct Control {
    worker: VirtualWorker,
    canceller: Canceller,
    results: ResultStore,
    replies: Replies,
}

impl Control {
    /// The worker `hostname`, which has these jobs.
    pub fn new(
        hostname: String,
        jobs: impl Iterator<Item = &'static str>,
        reader: Reader,
        canceller: Canceller,
        results: ResultStore,
        replies: Replies,
    ) -> Control {
        let jobs = jobs.map(str::to_owned).collect();
        let queues = replies.queues().to_vec();
        Control {
            worker: VirtualWorker::new(hostname, jobs, queues, reader),
            canceller,
            results,
            replies,
        }
    }

    /// Performs a message of the topic: its command, and its reply if the sender waits for one. A message
    /// for another worker, an unreadable one and an expired question are dropped. A repeated message is
    /// harmless: it revokes what is revoked, and its reply is a reply twice.
    ///
    /// # Errors
    /// When a task could not be revoked, because a table or a queue does not answer. The message may be
    /// tried again. A question and its reply are never tried again: nobody waits so long.
    pub async fn handle(&self, message: &str) -> Result<(), StoreError> {
        let request = match Request::read(message) {
            Ok(request) => request,
            Err(reason) => {
                tracing::warn!(reason, "a control message is unreadable");
                return Ok(());
            }
        };
        if !request.is_for(&self.worker.hostname) {
            return Ok(());
        }
        let is_late = request.is_late(now_ms());
        let answer = match commands::Revocation::of(&request) {
            Some(revocation) => match revocation {
                Ok(revocation) => self.revoke(revocation).await?,
                Err(reason) => commands::error(reason),
            },
            None if is_late || request.reply_to.is_none() => return self.ignored(&request),
            None => self.inspect(&request).await,
        };
        let reason = answer.get("error").and_then(Json::as_str);
        tracing::info!(command = request.method, reason, "remote control");
        if let Some(to) = request.reply_to.as_ref().filter(|_| !is_late) {
            let reply = Json::object([(&*self.worker.hostname, answer)]);
            self.replies.send(to, &request, reply).await;
        }
        Ok(())
    }

    /// Notes a question that is not answered: no command but a revocation has an effect here.
    fn ignored(&self, request: &Request) -> Result<(), StoreError> {
        let command = &*request.method;
        match request.reply_to {
            Some(_) => tracing::info!(command, "a question has expired"),
            None => tracing::warn!(command, "a command without an effect"),
        }
        Ok(())
    }
}
