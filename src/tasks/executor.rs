//! Runs what the queue delivers.
//!
//! One delivery goes through named steps: decode, claim, attempt, settle. Each ends in a
//! disposition that says what becomes of its message.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};
use futures_util::FutureExt;
use futures_util::future::join_all;
use uuid::Uuid;

use super::job::{JobError, TaskContext};
use super::registry::{FoundJob, Registry};
use super::result::TaskError;
use crate::http::Chain;
use crate::ids::now_ms;
use crate::queue::{DeadLetters, TaskMessage, TaskQueue};
use crate::store::{ClaimOutcome, Fenced, Lease, StoreError, TaskStore};

/// How many times a lease is extended before it would end. Two lost extensions do no harm.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// The longest time kept at the end of an invocation for writing down how far the tasks came.
const WRAP_UP: Duration = Duration::from_secs(5);

/// Lambda's longest time-out.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// The time of an invocation whose deadline has passed before it begins. Lambda never sends such a
/// one; `cargo lambda watch` sends the same small number each time.
const ASSUMED_TIME: Duration = Duration::from_secs(300);

/// Takes batches of the queue and runs their tasks.
pub struct Executor {
    /// The tasks' records.
    pub tasks: TaskStore,
    /// Where the batches come from.
    pub queue: TaskQueue,
    /// Where messages go that nobody can work on.
    pub dead_letters: DeadLetters,
    /// What there is to run.
    pub jobs: Registry,
    /// How long a silent worker keeps a task from others.
    pub lease: Duration,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposition {
    /// Its work is done: the queue may delete it.
    Done,
    /// It comes again after this time.
    Again(Duration),
    /// It stays as it is, and comes again when its visibility ends: another worker may have it, or
    /// the table did not answer.
    Leave,
}

/// How an attempt ended.
enum Outcome {
    Finished(Result<String, JobError>),
    /// Another worker has the task: this attempt must write no more.
    LeaseLost,
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
        let deliveries = join_all(messages.iter().map(|message| self.deliver(message, until)));
        let dispositions = tokio::select! {
            dispositions = deliveries => dispositions,
            never = self.keep_hidden(&messages) => never,
        };
        let mut response = SqsBatchResponse::default();
        for (message, disposition) in messages.iter().zip(dispositions) {
            if disposition != Disposition::Done {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier.clone_from(&message.id);
                response.batch_item_failures.push(failure);
            }
        }
        response
    }

    /// One message, from its body to what becomes of it.
    async fn deliver(&self, message: &Message, until: Instant) -> Disposition {
        let disposition = match self.decode(message).await {
            Ok((task, job)) => self.work(&task, job, message, until).await,
            Err(disposition) => disposition,
        };
        message.settle(disposition);
        if let Disposition::Again(delay) = disposition {
            self.hide(&[(&message.receipt, delay)]).await;
        }
        disposition
    }

    /// The task in a message. What is none, or names no job, is put aside: delivering it again
    /// would change nothing.
    async fn decode(&self, message: &Message) -> Result<(TaskMessage, FoundJob<'_>), Disposition> {
        let task = match TaskMessage::decode(&message.body) {
            Ok(task) => task,
            Err(error) => {
                let id = TaskMessage::find_id(&message.body);
                return Err(self
                    .put_aside(message, id, "Malformed", &error.to_string())
                    .await);
            }
        };
        match self.jobs.find(&task.job) {
            Some(job) => Ok((task, job)),
            None => {
                let reason = format!("there is no job named {:?}", task.job);
                Err(self
                    .put_aside(message, Some(task.id), "UnknownJob", &reason)
                    .await)
            }
        }
    }

    /// Fails the task that a useless message names, keeps the message with the reason, and only
    /// then acknowledges it. Each step may be repeated.
    async fn put_aside(
        &self,
        message: &Message,
        id: Option<Uuid>,
        kind: &str,
        reason: &str,
    ) -> Disposition {
        tracing::warn!(message_id = message.id, task_id = ?id, reason, "a message is put aside");
        if let Some(id) = id {
            let error = TaskError {
                kind: kind.to_owned(),
                message: reason.to_owned(),
            };
            if let Err(error) = self.tasks.reject(id, &error).await {
                return store_failed(id, &error);
            }
        }
        match self.dead_letters.put(&message.body, reason).await {
            Ok(()) => Disposition::Done,
            Err(error) => {
                tracing::error!(message_id = message.id, error = %Chain(&error), "a message could not be put aside");
                Disposition::Leave
            }
        }
    }

    /// Claims a task and runs one attempt of it.
    async fn work(
        &self,
        task: &TaskMessage,
        job: FoundJob<'_>,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        let lease = match self.tasks.claim(&task.submitted(), self.lease).await {
            Ok(ClaimOutcome::Claimed(lease)) => lease,
            Ok(ClaimOutcome::Ended) => return Disposition::Done,
            Ok(ClaimOutcome::Held { ends_in }) => return Disposition::Again(ends_in),
            Err(error) => return store_failed(task.id, &error),
        };
        let started = Instant::now();
        let outcome = match exhausted(&lease, job) {
            Some(error) => Outcome::Finished(Err(error)),
            None => self.attempt(task, job, &lease, until).await,
        };
        let disposition = self.settle(job, &lease, outcome).await;
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

    /// Runs a job until it ends, its lease is lost or the worker's time is over.
    async fn attempt(
        &self,
        task: &TaskMessage,
        job: FoundJob<'_>,
        lease: &Lease,
        until: Instant,
    ) -> Outcome {
        let context = TaskContext {
            id: task.id,
            attempt: lease.attempt,
        };
        // A panicking job fails its own task; the others of the batch go on.
        let run = AssertUnwindSafe(job.run(&task.input, &context)).catch_unwind();
        tokio::select! {
            ended = run => Outcome::Finished(ended.unwrap_or_else(|_| {
                Err(JobError::permanent("Panicked", "the job panicked"))
            })),
            () = self.hold(lease) => Outcome::LeaseLost,
            () = tokio::time::sleep_until(until.into()) => {
                let message = "the attempt did not end within the worker's time";
                let error = JobError::transient("OutOfTime", message);
                Outcome::Finished(Err(error.retry_after(Duration::ZERO)))
            }
        }
    }

    /// Extends a lease for as long as it is ours.
    async fn hold(&self, lease: &Lease) {
        loop {
            tokio::time::sleep(self.lease / HEARTBEATS_PER_LEASE).await;
            match self.tasks.extend(lease, self.lease).await {
                Ok(Fenced::Written) => {}
                Ok(Fenced::Lost) => return,
                // The next heartbeat tries again, and the lease may last till then. If it does
                // not, the write of the result finds out.
                Err(error) => {
                    tracing::warn!(task_id = %lease.id, error = %Chain(&error), "a heartbeat failed");
                }
            }
        }
    }

    /// Writes how an attempt ended, and says what becomes of the message.
    async fn settle(&self, job: FoundJob<'_>, lease: &Lease, outcome: Outcome) -> Disposition {
        let written = match outcome {
            // Our message may have been delivered to the worker that has the task now. Deleting it
            // would take from that worker what brings the task back should it die too.
            Outcome::LeaseLost => Ok((Fenced::Lost, Disposition::Leave)),
            Outcome::Finished(Ok(result)) => self.complete(lease, &result).await,
            Outcome::Finished(Err(error)) => self.fail(job, lease, &error).await,
        };
        match written {
            Ok((Fenced::Written, disposition)) => disposition,
            Ok((Fenced::Lost, _)) => {
                tracing::warn!(task_id = %lease.id, attempt = lease.attempt, "the lease was lost");
                Disposition::Leave
            }
            Err(error) => store_failed(lease.id, &error),
        }
    }

    async fn complete(
        &self,
        lease: &Lease,
        result: &str,
    ) -> Result<(Fenced, Disposition), StoreError> {
        let written = match self.tasks.complete(lease, result).await {
            Err(StoreError::TooLarge) => {
                let message = format!("the result has {} bytes, which is too large", result.len());
                let error = TaskError {
                    kind: "ResultTooLarge".to_owned(),
                    message,
                };
                self.tasks.fail(lease, &error).await?
            }
            written => written?,
        };
        Ok((written, Disposition::Done))
    }

    async fn fail(
        &self,
        job: FoundJob<'_>,
        lease: &Lease,
        error: &JobError,
    ) -> Result<(Fenced, Disposition), StoreError> {
        let told = TaskError {
            kind: error.kind().to_owned(),
            message: error.message().to_owned(),
        };
        match job.retry_policy().delay(lease.attempt, error, random()) {
            Some(delay) => {
                let written = self.tasks.retry(lease, &told, delay).await?;
                Ok((written, Disposition::Again(delay)))
            }
            None => Ok((self.tasks.fail(lease, &told).await?, Disposition::Done)),
        }
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
        let held: Vec<_> = held
            .map(|message| (message.receipt.as_str(), self.lease))
            .collect();
        self.hide(&held).await;
    }

    /// That this fails is no harm: the message then comes again sooner or later than it should,
    /// and its claim decides.
    async fn hide(&self, messages: &[(&str, Duration)]) {
        if let Err(error) = self.queue.hide(messages).await {
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

/// The error of a task whose every allowed attempt was claimed and none came to an end: a message
/// that kills its worker must not do so for ever.
fn exhausted(lease: &Lease, job: FoundJob<'_>) -> Option<JobError> {
    let allowed = job.retry_policy().max_retries.saturating_add(1);
    (lease.attempt > allowed).then(|| {
        let message =
            format!("{allowed} attempts were begun and the last did not end: its worker died");
        JobError::permanent("WorkerLost", message)
    })
}

fn store_failed(task_id: Uuid, error: &StoreError) -> Disposition {
    tracing::error!(%task_id, error = %Chain(error), "a task's record could not be written");
    Disposition::Leave
}

/// A number from 0 up to 1, of the random bits that end a version 4 UUID.
fn random() -> f64 {
    (Uuid::new_v4().as_u128() as u32) as f64 / f64::from(u32::MAX)
}

/// A message of the batch.
struct Message {
    id: String,
    receipt: String,
    body: String,
    /// Whether it is to stay invisible until the batch ends.
    held: std::sync::atomic::AtomicBool,
}

impl Message {
    fn is_held(&self) -> bool {
        self.held.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Notes what becomes of the message: one that comes again is hidden for its own time.
    fn settle(&self, disposition: Disposition) {
        let held = disposition == Disposition::Done;
        self.held.store(held, std::sync::atomic::Ordering::Relaxed);
    }
}

impl From<SqsMessage> for Message {
    fn from(record: SqsMessage) -> Message {
        Message {
            id: record.message_id.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            held: true.into(),
        }
    }
}

#[cfg(test)]
mod tests;
