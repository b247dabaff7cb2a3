//! Runs what the queues deliver.
//!
//! One delivery passes named steps: decode, time, claim, attempt, settle. Each step ends in a
//! disposition, which says what becomes of the message.

mod attempt;
mod dead_letter;
mod message;
mod runner;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use uuid::Uuid;

use super::metrics;
use super::queue::{DeadLetters, TaskQueue};
use super::record::TaskError;
use super::registry::{AnyJob, Registry};
use super::state::State;
use super::store::{ClaimOutcome, TaskStore};
use super::task::Task;
use super::wire;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use dead_letter::{DeadLettered, Owner, dead_letter};
use message::{Disposition, Message};

pub use dead_letter::DeadLetterHandler;
pub use message::Delivery;
pub use runner::Runner;

/// How many times a lease is extended before it would end. Two lost extensions do no harm.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// The longest time kept at the end of an invocation for writing down how far the tasks came.
const WRAP_UP: Duration = Duration::from_secs(5);

/// Lambda's longest time-out.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// The time of an invocation whose deadline has passed before it begins. Lambda never sends such a
/// one; `cargo lambda watch` sends the same small number each time.
const ASSUMED_TIME: Duration = Duration::from_secs(300);

/// The consumer of the task queues: takes batches and runs their tasks.
pub struct Worker {
    /// The tasks' records.
    pub tasks: TaskStore,
    /// The queues of the batches.
    pub queue: TaskQueue,
    /// The dead-letter queue.
    pub dead_letters: DeadLetters,
    /// The jobs.
    pub jobs: Registry,
    /// The thread that jobs run on.
    pub runner: Arc<Runner>,
    /// The length of a lease: how long a worker may be silent before another worker takes its task.
    pub lease: Duration,
    /// This worker's name, for the records.
    pub name: String,
}

impl Worker {
    /// Runs the tasks of a batch concurrently until they end or the invocation's time is nearly
    /// over. The result names the messages that the queue must deliver again. `deadline` is Lambda's,
    /// in milliseconds since the Unix epoch.
    pub async fn run_batch(&self, batch: Vec<Delivery>, deadline: u64) -> Vec<String> {
        let until = Instant::now() + working_time(deadline, now_ms());
        let messages: Vec<Message> = batch.into_iter().map(Message::from).collect();
        // A worker that dies now costs one lease, not the queue's whole visibility timeout.
        self.extend_visibility(&messages).await;
        // Each delivery is polled when it is woken itself; a join would poll all of them each time.
        let deliveries = messages.iter().map(|message| self.deliver(message, until));
        let deliveries: FuturesOrdered<_> = deliveries.collect();
        let dispositions: Vec<Disposition> = tokio::select! {
            dispositions = deliveries.collect() => dispositions,
            never = self.keep_invisible(&messages) => never,
        };
        let again = messages.into_iter().zip(dispositions);
        let again = again.filter(|(_, disposition)| *disposition != Disposition::Done);
        again.map(|(message, _)| message.delivery.id).collect()
    }

    /// One message, from its body to its disposition.
    async fn deliver(&self, message: &Message, until: Instant) -> Disposition {
        let body = &message.delivery.body;
        let disposition = match wire::decode(body, now_ms()) {
            Ok(task) => self.take(&task, message, until).await,
            Err(error) => {
                let owner = Owner::of_unreadable(body);
                self.dead_letter(message, owner, "Malformed", error.to_string())
                    .await
            }
        };
        message.settle(disposition);
        if let Disposition::Again(delay) = disposition {
            self.change_visibility(&[(message, delay)]).await;
        }
        disposition
    }

    /// A task's message. A task of an unknown job is dead-lettered, since another delivery would
    /// change nothing.
    async fn take(&self, task: &Task, message: &Message, until: Instant) -> Disposition {
        let disposition = match self.jobs.find(&task.job) {
            Some(job) => self.work(task, job, message, until).await,
            None => {
                let reason = format!("there is no job named {:?}", task.job);
                self.dead_letter(message, Owner::Task(task), "UnknownJob", reason)
                    .await
            }
        };
        match disposition {
            Disposition::Again(delay) if message.would_be_lost(now_ms(), delay) => {
                self.renew(task, delay).await
            }
            disposition => disposition,
        }
    }

    /// Sends a task's message anew in place of one that SQS would soon drop for its age. Sent before
    /// the old one is done with: a crash in between leaves a duplicate.
    async fn renew(&self, task: &Task, delay: Duration) -> Disposition {
        match self.queue.send(task, delay).await {
            Ok(()) => Disposition::Done,
            Err(error) => {
                tracing::error!(task_id = %task.id, error = %Chain(&error), "a message was not sent anew");
                Disposition::Again(delay)
            }
        }
    }

    async fn dead_letter(
        &self,
        message: &Message,
        owner: Owner<'_>,
        kind: &str,
        reason: String,
    ) -> Disposition {
        let error = TaskError::new(kind, reason);
        let body = &message.delivery.body;
        let put = dead_letter(&self.tasks, &self.dead_letters, body, owner, &error);
        match put.await {
            DeadLettered::Done => Disposition::Done,
            DeadLettered::Held(ends_in) => Disposition::Again(ends_in),
            DeadLettered::Failed => Disposition::Leave,
        }
    }

    /// Claims a task whose time it is, and runs one attempt of it.
    async fn work(
        &self,
        task: &Task,
        job: Arc<dyn AnyJob>,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        let now = now_ms();
        if task.options.have_expired(now) {
            match self.tasks.expire(task).await {
                Ok(true) => {
                    metrics::reached(&task.job, State::Expired);
                    return Disposition::Done;
                }
                // It began in time, and may have to be taken over; or it has ended.
                Ok(false) => {}
                Err(error) => return store_failed(task.id, &error),
            }
        } else if let Some(wait) = task.options.wait(now) {
            return Disposition::Again(wait);
        }
        let lease = match self.tasks.claim(task, self.lease, &self.name).await {
            Ok(ClaimOutcome::Claimed(lease)) => lease,
            Ok(ClaimOutcome::Ended) => return Disposition::Done,
            Ok(ClaimOutcome::Held { ends_in }) => return Disposition::Again(ends_in),
            Err(error) => return store_failed(task.id, &error),
        };
        let (began, started) = (now_ms(), Instant::now());
        let policy = job
            .retry_policy()
            .with_max_retries(task.options.max_retries);
        let outcome = self.attempt(task, job, policy, &lease, until).await;
        let took = started.elapsed();
        let (disposition, state) = self.settle(policy, &lease, outcome).await;
        metrics::attempted(task, lease.attempt, began, took, state);
        tracing::info!(
            task_id = %task.id,
            job = task.job,
            attempt = lease.attempt,
            message_id = message.delivery.id,
            milliseconds = started.elapsed().as_millis() as u64,
            ?disposition,
            "attempted"
        );
        disposition
    }

    /// Keeps the messages of a batch invisible while any task of the batch runs, also the messages
    /// that are done: Lambda deletes them only when the whole batch is answered.
    async fn keep_invisible(&self, messages: &[Message]) -> ! {
        loop {
            tokio::time::sleep(self.lease / HEARTBEATS_PER_LEASE).await;
            self.extend_visibility(messages).await;
        }
    }

    async fn extend_visibility(&self, messages: &[Message]) {
        let held = messages.iter().filter(|message| message.is_held());
        let held: Vec<_> = held.map(|message| (message, self.lease)).collect();
        self.change_visibility(&held).await;
    }

    /// A failure does no harm: the message is then delivered sooner or later than it should be, and
    /// the claim of its task decides.
    async fn change_visibility(&self, messages: &[(&Message, Duration)]) {
        let changed = messages.iter().map(|(message, time)| {
            let delivery = &message.delivery;
            (delivery.source.as_str(), delivery.receipt.as_str(), *time)
        });
        if let Err(error) = self.queue.change_visibility(changed.collect()).await {
            tracing::warn!(error = %Chain(&error), "messages' visibility timeouts are unchanged");
        }
    }
}

/// The time for work of the time to `deadline`: a tenth, and at most [`WRAP_UP`], remains for writing
/// how the attempts ended.
fn working_time(deadline: u64, now: u64) -> Duration {
    let left = match deadline.saturating_sub(now) {
        0 => ASSUMED_TIME,
        left => Duration::from_millis(left).min(LONGEST_INVOCATION),
    };
    left - (left / 10).min(WRAP_UP)
}

fn store_failed(task_id: Uuid, error: &StoreError) -> Disposition {
    tracing::error!(%task_id, error = %Chain(error), "a task's record could not be written");
    Disposition::Leave
}

#[cfg(test)]
mod tests;
