//! The worker: runs the tasks of the queues' messages.
//!
//! One delivery passes these steps: decode, check of eta and expiry, claim, attempt, settle. Every step
//! may end the delivery with a disposition of the message.

mod attempt;
mod dead_letter;
mod foreign;
mod message;
mod origin;
mod runner;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::delay::{Delays, Targets};
use super::format::Format;
use super::id::TaskId;
use super::metrics::Counter;
use super::queue::{DeadLetters, TaskQueue};
use super::record::TaskError;
use super::registry::{AnyJob, Registry};
use super::state::State;
use super::store::{ClaimOutcome, Lease, TaskStore};
use super::task::Task;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use attempt::{Outcome, input_lost};
use dead_letter::{DeadLettered, Owner};
use message::{Disposition, Message};
use origin::{Prepared, Read};

pub use dead_letter::DeadLetterHandler;
pub use message::Delivery;
pub use runner::Runner;

/// The number of heartbeats in the time of a lease. The lease survives two lost heartbeats.
const HEARTBEATS_PER_LEASE: u32 = 3;

/// The longest time at the end of an invocation that is reserved for the final writes.
const WRAP_UP: Duration = Duration::from_secs(5);

/// The wait of a message that came before the end that sent it was noted as done.
const EARLY: Duration = Duration::from_secs(2);

/// Lambda's longest time-out.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// The assumed time of an invocation whose deadline has already passed. Lambda never sends such a
/// deadline; `cargo lambda watch` sends the same small number each time.
const ASSUMED_TIME: Duration = Duration::from_secs(300);

/// The consumer of the task queues: receives batches of messages and runs their tasks.
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
    /// The length of a lease: without a heartbeat for this time, another worker may claim the task.
    pub lease: Duration,
    /// Counts the tasks.
    pub counter: Counter,
    /// This worker's name in the records.
    pub name: String,
    /// The wire formats beside the service's own.
    pub formats: Vec<Arc<dyn Format>>,
    /// The one-time schedules of other formats' tasks that are due later than SQS can delay a message;
    /// without them, such a message waits in its queue.
    pub delays: Option<(Delays, Targets)>,
}

impl Worker {
    /// Runs the tasks of a batch concurrently until they end or the invocation's time is nearly over.
    /// Returns the ids of the messages that the queue must deliver again. `deadline` is Lambda's
    /// deadline, in milliseconds since the Unix epoch.
    pub async fn run_batch(&self, batch: Vec<Delivery>, deadline: u64) -> Vec<String> {
        let until = Instant::now() + working_time(deadline, now_ms());
        let messages: Vec<Message> = batch.into_iter().map(Message::from).collect();
        // If this worker dies, its messages return after a lease, not after the queue's longer default
        // visibility timeout.
        self.extend_visibility(&messages).await;
        // This polls only the delivery that was woken; a join would poll all deliveries each time.
        let deliveries = messages.iter().map(|message| self.deliver(message, until));
        let deliveries: FuturesOrdered<_> = deliveries.collect();
        let dispositions: Vec<Disposition> = tokio::select! {
            dispositions = deliveries.collect() => dispositions,
            never = self.keep_invisible(&messages) => never,
        };
        // After all else: what was counted must be in the records.
        self.counter.write().await;
        let again = messages.into_iter().zip(dispositions);
        let again = again.filter(|(_, disposition)| *disposition != Disposition::Acknowledge);
        again.map(|(message, _)| message.delivery.id).collect()
    }

    /// One message, from its body to its disposition.
    async fn deliver(&self, message: &Message, until: Instant) -> Disposition {
        let disposition = match self.origins().read(&message.delivery) {
            Read::Own(task) => self.take(task, message, until).await,
            Read::Foreign(decoded) => self.take_foreign(decoded, message, until).await,
            Read::Unreadable(error) => {
                let owner = Owner::of_unreadable(&message.delivery.body);
                let error = TaskError::new("Malformed", error.to_string());
                self.dead_letter(message, owner, &error).await
            }
        };
        message.settle(disposition);
        if let Disposition::Redeliver(delay) = disposition {
            self.change_visibility(&[(message, delay)]).await;
        }
        disposition
    }

    /// One message of a task. The message of an unknown job is dead-lettered, since another delivery
    /// would change nothing.
    async fn take(&self, mut task: Box<Task>, message: &Message, until: Instant) -> Disposition {
        match self.origins().prepare(&mut task).await {
            Ok(Prepared::Ready) => {}
            Ok(Prepared::Lost(lost)) => return self.refuse(&task, &lost, message, until).await,
            Ok(Prepared::Past) => return Disposition::Acknowledge,
            Ok(Prepared::Early) => return Disposition::Redeliver(EARLY),
            Err(error) => return store_failed(&task.id, &error),
        }
        let task = Arc::<Task>::from(task);
        let disposition = match self.jobs.find(&task.job) {
            Some(job) => self.work(&task, job, message, until).await,
            None => {
                let reason = format!("there is no job named {:?}", task.job);
                let error = TaskError::new("UnknownJob", reason);
                self.refuse(&task, &error, message, until).await
            }
        };
        match disposition {
            Disposition::Redeliver(delay) if message.would_be_lost(now_ms(), delay) => {
                self.renew(&task, delay).await
            }
            disposition => disposition,
        }
    }

    /// Sends a task's message again, because SQS would drop the old message at the end of its retention.
    /// The old message is acknowledged afterwards, so a crash in between leaves a duplicate.
    async fn renew(&self, task: &Task, delay: Duration) -> Disposition {
        match self.queue.send(task, delay).await {
            Ok(()) => Disposition::Acknowledge,
            Err(error) => {
                tracing::error!(task_id = %task.id, error = %Chain(&error), "a message was not sent anew");
                Disposition::Redeliver(delay)
            }
        }
    }

    async fn dead_letter(
        &self,
        message: &Message,
        owner: Owner<'_>,
        error: &TaskError,
    ) -> Disposition {
        let body = &message.delivery.body;
        self.origins().dead_letter(body, owner, error).await.into()
    }

    /// The disposition of a message whose task is not due, has expired or is skipped; `None` for a task to
    /// claim.
    async fn check_times(
        &self,
        task: &Task,
        message: &Message,
        until: Instant,
    ) -> Option<Disposition> {
        let now = now_ms();
        if !task.options.have_expired(now)
            && let Some(wait) = task.options.wait(now)
        {
            self.record_waiting(task, message).await;
            return Some(Disposition::Redeliver(wait));
        }
        let expired = match task.options.have_expired(now) {
            true => self.tasks.expire(task).await,
            false => self.tasks.skip_overlapping(task).await,
        };
        match expired {
            Ok(true) => {
                self.counter.reached(&task.job, State::Expired);
                Some(match task.has_effects() {
                    true => self.perform_if_left(task, message, until).await,
                    false => Disposition::Acknowledge,
                })
            }
            // The task is due, or began before its expiry and its worker may have died, or has ended.
            Ok(false) => None,
            Err(error) => Some(store_failed(&task.id, &error)),
        }
    }

    /// Claims a task that is due, and runs one attempt.
    async fn work(
        &self,
        task: &Arc<Task>,
        job: Arc<dyn AnyJob>,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        if let Some(disposition) = self.check_times(task, message, until).await {
            return disposition;
        }
        let lease = match self.tasks.claim(task, self.lease, &self.name).await {
            Ok(ClaimOutcome::Claimed(lease)) => lease,
            Ok(ClaimOutcome::Ended) => return Disposition::Acknowledge,
            Ok(ClaimOutcome::EffectsLeft(left)) => {
                return self.perform_left(task, *left, message, until).await;
            }
            Ok(ClaimOutcome::Held { ends_in }) => return Disposition::Redeliver(ends_in),
            Err(error) => return store_failed(&task.id, &error),
        };
        let (began, started) = (now_ms(), Instant::now());
        let policy = job
            .retry_policy()
            .with_max_retries(task.options.max_retries);
        let (task, outcome) = match self.for_attempt(task, &lease).await {
            Ok(task) => {
                self.began(&task, &lease).await;
                let outcome = self.attempt(&task, job, policy, &lease, until).await;
                let outcome = self.checked(&task, outcome);
                (task, outcome)
            }
            Err(outcome) => (Arc::clone(task), outcome),
        };
        let took = started.elapsed();
        let settled = self.settle(policy, &lease, outcome).await;
        self.counter
            .attempted(&task, lease.attempt, began, took, settled.state);
        tracing::info!(
            task_id = %task.id,
            job = task.job,
            attempt = lease.attempt,
            message_id = message.delivery.id,
            milliseconds = started.elapsed().as_millis() as u64,
            disposition = ?settled.disposition,
            "attempted"
        );
        self.after(&task, &lease, settled, message, until).await
    }

    /// The task of an attempt: what an earlier attempt has left for it stands in place of the message's.
    async fn for_attempt(&self, task: &Arc<Task>, lease: &Lease) -> Result<Arc<Task>, Outcome> {
        match self.tasks.for_attempt(task, lease).await {
            Ok(None) => Ok(Arc::clone(task)),
            Ok(Some(task)) => Ok(task.into()),
            Err(StoreError::Corrupt(reason)) => {
                tracing::error!(task_id = %task.id, reason, "the data of a retry is unreadable");
                Err(input_lost("the stored data of the retry is unreadable"))
            }
            Err(error) => Err(Outcome::StoreFailed(error)),
        }
    }

    /// Sends heartbeats for the messages of a batch while any task of the batch runs. Finished messages
    /// get heartbeats too, because Lambda deletes messages only after the answer to the whole batch.
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

    /// Sets visibility timeouts. A failure does no harm: the message is then delivered too early or too
    /// late, and the claim of its task decides.
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

/// The time for attempts until `deadline`: a tenth of the time, and at most [`WRAP_UP`], is reserved for
/// the final writes.
fn working_time(deadline: u64, now: u64) -> Duration {
    let left = match deadline.saturating_sub(now) {
        0 => ASSUMED_TIME,
        left => Duration::from_millis(left).min(LONGEST_INVOCATION),
    };
    left - (left / 10).min(WRAP_UP)
}

impl From<DeadLettered> for Disposition {
    fn from(put: DeadLettered) -> Disposition {
        match put {
            DeadLettered::Done | DeadLettered::Ended => Disposition::Acknowledge,
            DeadLettered::Held(ends_in) => Disposition::Redeliver(ends_in),
            DeadLettered::Failed => Disposition::Leave,
        }
    }
}

fn store_failed(task_id: &TaskId, error: &StoreError) -> Disposition {
    tracing::error!(%task_id, error = %Chain(error), "a task's record could not be written");
    Disposition::Leave
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
