//! Runs what the queues deliver.
//!
//! One delivery goes through named steps: decode, time, claim, attempt, settle. Each ends in a
//! disposition that says what becomes of its message.

mod attempt;
mod message;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use uuid::Uuid;

use super::put_aside::{Owner, PutAside, put_aside};
use super::registry::{AnyJob, Registry};
use super::result::TaskError;
use super::runner::Runner;
use super::state::State;
use super::task::Task;
use crate::http::Chain;
use crate::ids::now_ms;
use crate::metrics;
use crate::queue::{self, DeadLetters, TaskQueue};
use crate::store::{ClaimOutcome, StoreError, TaskStore};
use message::{Disposition, Message};

/// How many times a lease is extended before it would end. Two lost extensions do no harm.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// The longest time kept at the end of an invocation for writing down how far the tasks came.
const WRAP_UP: Duration = Duration::from_secs(5);

/// Lambda's longest time-out.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// The time of an invocation whose deadline has passed before it begins. Lambda never sends such a
/// one; `cargo lambda watch` sends the same small number each time.
const ASSUMED_TIME: Duration = Duration::from_secs(300);

/// Takes batches of the queues and runs their tasks.
pub struct Executor {
    /// The tasks' records.
    pub tasks: TaskStore,
    /// Where the batches come from.
    pub queue: TaskQueue,
    /// Where messages go that nobody can work on.
    pub dead_letters: DeadLetters,
    /// What there is to run.
    pub jobs: Registry,
    /// Where it runs.
    pub runner: Arc<Runner>,
    /// How long a silent worker keeps a task from others.
    pub lease: Duration,
    /// This worker's name, for the records.
    pub worker: String,
}

impl Executor {
    /// Runs the tasks of a batch concurrently until they end or the invocation's time is nearly
    /// over, and names the messages that the queue must deliver again. `deadline` is Lambda's, in
    /// milliseconds since the Unix epoch.
    pub async fn run_batch(&self, records: Vec<SqsMessage>, deadline: u64) -> SqsBatchResponse {
        let until = Instant::now() + working_time(deadline, now_ms());
        let messages: Vec<Message> = records.into_iter().map(Message::from).collect();
        // A worker that dies now costs one lease, not the queue's whole visibility timeout.
        self.hide_all(&messages).await;
        // Each is polled when it is woken itself; a join would poll all of them each time.
        let deliveries = messages.iter().map(|message| self.deliver(message, until));
        let deliveries: FuturesOrdered<_> = deliveries.collect();
        let dispositions: Vec<Disposition> = tokio::select! {
            dispositions = deliveries.collect() => dispositions,
            never = self.keep_hidden(&messages) => never,
        };
        let left = messages.into_iter().zip(dispositions);
        let left = left.filter(|(_, disposition)| *disposition != Disposition::Done);
        queue::again(left.map(|(message, _)| message.id))
    }

    /// One message, from its body to what becomes of it.
    async fn deliver(&self, message: &Message, until: Instant) -> Disposition {
        let disposition = match Task::decode(&message.body) {
            Ok(task) => self.take(&task, message, until).await,
            Err(error) => {
                let owner = Owner::of_unreadable(&message.body);
                self.put_aside(message, owner, "Malformed", error.to_string())
                    .await
            }
        };
        message.settle(disposition);
        if let Disposition::Again(delay) = disposition {
            self.hide(&[(message, delay)]).await;
        }
        disposition
    }

    /// A task's message: what names no job is put aside, since delivering it again would change
    /// nothing.
    async fn take(&self, task: &Task, message: &Message, until: Instant) -> Disposition {
        let disposition = match self.jobs.find(&task.job) {
            Some(job) => self.work(task, job, message, until).await,
            None => {
                let reason = format!("there is no job named {:?}", task.job);
                self.put_aside(message, Owner::Task(task), "UnknownJob", reason)
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

    async fn put_aside(
        &self,
        message: &Message,
        owner: Owner<'_>,
        kind: &str,
        reason: String,
    ) -> Disposition {
        let error = TaskError {
            kind: kind.to_owned(),
            message: reason,
        };
        let put = put_aside(
            &self.tasks,
            &self.dead_letters,
            &message.body,
            owner,
            &error,
        );
        match put.await {
            PutAside::Done => Disposition::Done,
            PutAside::Held(ends_in) => Disposition::Again(ends_in),
            PutAside::Failed => Disposition::Leave,
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
        let lease = match self.tasks.claim(task, self.lease, &self.worker).await {
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
            message_id = message.id,
            milliseconds = started.elapsed().as_millis() as u64,
            ?disposition,
            "attempted"
        );
        disposition
    }

    /// Keeps the messages of a batch invisible while any of them is worked on, also those that are
    /// done: Lambda deletes them only when the whole batch is answered.
    async fn keep_hidden(&self, messages: &[Message]) -> ! {
        loop {
            tokio::time::sleep(self.lease / HEARTBEATS_PER_LEASE).await;
            self.hide_all(messages).await;
        }
    }

    async fn hide_all(&self, messages: &[Message]) {
        let held = messages.iter().filter(|message| message.is_held());
        let held: Vec<_> = held.map(|message| (message, self.lease)).collect();
        self.hide(&held).await;
    }

    /// That this fails is no harm: the message then comes again sooner or later than it should,
    /// and its claim decides.
    async fn hide(&self, messages: &[(&Message, Duration)]) {
        let hidden = messages
            .iter()
            .map(|(message, time)| (message.source.as_str(), message.receipt.as_str(), *time));
        if let Err(error) = self.queue.hide(hidden.collect()).await {
            tracing::warn!(error = %Chain(&error), "messages' visibility stays as it is");
        }
    }
}

/// How much of the time to `deadline` is for work: a tenth, and at most [`WRAP_UP`], is kept for
/// writing down how far the tasks came.
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
