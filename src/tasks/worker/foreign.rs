//! The worker's part for tasks of other wire formats. A task of the service's own format passes through
//! these functions without a call.

use std::time::Instant;

use super::attempt::Outcome;
use super::dead_letter::Owner;
use super::message::{Disposition, Message};
use super::origin::{Effects, Origins, Prepared, backoff};
use super::settle::Settled;
use super::{EARLY, HEARTBEATS_PER_LEASE, Worker, store_failed};
use crate::clock::now_ms;
use crate::error::Chain;
use crate::tasks::client::Submitter;
use crate::tasks::context::Channels;
use crate::tasks::format::{Decoded, Entered};
use crate::tasks::queue::MAX_SQS_DELAY;
use crate::tasks::record::TaskError;
use crate::tasks::state::State;
use crate::tasks::store::{Lease, Unfinished};
use crate::tasks::task::Task;

impl Worker {
    pub(super) fn origins(&self) -> Origins<'_> {
        Origins {
            tasks: &self.tasks,
            dead_letters: &self.dead_letters,
            counter: &self.counter,
            formats: &self.formats,
        }
    }

    /// One message of another format.
    pub(super) async fn take_foreign(
        &self,
        decoded: Decoded,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        match decoded {
            Decoded::Task(task) => match self.delay(&task).await {
                true => Disposition::Acknowledge,
                false => self.take(task, message, until).await,
            },
            Decoded::Refused { mut task, error } => {
                match self.origins().prepare(&mut task).await {
                    Ok(Prepared::Ready | Prepared::Lost(_)) => {}
                    Ok(Prepared::Past) => return Disposition::Acknowledge,
                    Ok(Prepared::Early) => return Disposition::Redeliver(EARLY),
                    Err(error) => return store_failed(&task.id, &error),
                }
                self.refuse(&task, &error, message, until).await
            }
            Decoded::Malformed(reason) => {
                let error = TaskError::new("Malformed", reason);
                self.dead_letter(message, Owner::Unknown, &error).await
            }
        }
    }

    /// Sends a task that is due late again, as a submission does: by a one-time schedule, in the service's
    /// own format. `false` if the message must wait in its queue. The other format's message is acknowledged
    /// afterwards, so a crash in between leaves a duplicate.
    async fn delay(&self, task: &Task) -> bool {
        let wait = task.options.wait(now_ms()).unwrap_or_default();
        if self.delays.is_none() || wait <= MAX_SQS_DELAY || task.options.have_expired(now_ms()) {
            return false;
        }
        let delays = self.delays.clone();
        let submitter = Submitter::new(self.queue.clone(), self.tasks.clone(), delays);
        let sent = submitter.accept(task.clone()).await;
        if let Err(error) = &sent {
            tracing::warn!(task_id = %task.id, error = %Chain(error), "a task was not delayed");
        }
        sent.is_ok()
    }

    /// Records a task of another format that waits in its queue: lists then have the task, and a
    /// cancellation ends it at once. Nothing depends on this write, so the message's first delivery tries
    /// it once.
    pub(super) async fn record_waiting(&self, task: &Task, message: &Message) {
        if task.origin.is_none() || message.delivery.deliveries > 1 {
            return;
        }
        if let Err(error) = self.tasks.submitted(task).await {
            tracing::warn!(task_id = %task.id, error = %Chain(&error), "a waiting task is not recorded");
        }
    }

    /// Fails a task that cannot run, dead-letters its message, and performs what the end sets off.
    pub(super) async fn refuse(
        &self,
        task: &Task,
        error: &TaskError,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        let (owner, body) = (Owner::Task(task), &message.delivery.body);
        match self.origins().dead_letter(body, owner, error).await {
            put if put.may_have_effects(task) => self.perform_if_left(task, message, until).await,
            put => put.into(),
        }
    }

    /// The outcome of an attempt; a failure if the task's format cannot report the output.
    pub(super) fn checked(&self, task: &Task, outcome: Outcome) -> Outcome {
        match (self.origins().format_of(task), outcome) {
            (Some(format), Outcome::Finished(Ok(output))) if output.is_unchecked() => {
                let checked = format.check_output(task, &output.json);
                Outcome::Finished(checked.map(|()| output))
            }
            (_, outcome) => outcome,
        }
    }

    /// Tells a task's format that the attempt began.
    pub(super) async fn began(&self, task: &Task, lease: &Lease) {
        let (attempt, worker) = (lease.attempt, self.name.as_str());
        self.entered(task, Entered::Running { attempt, worker })
            .await;
    }

    /// Tells a task's format what the task enters. The call ends before a heartbeat is due.
    async fn entered(&self, task: &Task, entered: Entered<'_>) {
        if let Some(format) = self.origins().format_of(task) {
            let told = format.entered(task, entered);
            let time = self.lease / HEARTBEATS_PER_LEASE;
            if tokio::time::timeout(time, told).await.is_err() {
                tracing::warn!(task_id = %task.id, "a task's client was not told of its state");
            }
        }
    }

    /// Tells a task's format the progress that the record has.
    pub(super) async fn progressed(&self, task: &Task, lease: &Lease, channels: &Channels) {
        if task.origin.is_none() {
            return;
        }
        let progress = channels.progress.borrow().clone();
        if let Some(progress) = &progress {
            let attempt = lease.attempt;
            self.entered(task, Entered::Progress { attempt, progress })
                .await;
        }
    }

    /// What follows from an attempt: effects of the run's end, or the news that another attempt follows.
    pub(super) async fn after(
        &self,
        task: &Task,
        lease: &Lease,
        settled: Settled,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        let disposition = settled.disposition;
        if task.origin.is_none() && !settled.has_effects() {
            return disposition;
        }
        if let (Some(State::Retrying), Some(error), Disposition::Redeliver(delay)) =
            (settled.state, &settled.error, disposition)
        {
            let attempt = lease.attempt;
            let entered = Entered::Retrying {
                attempt,
                error,
                delay,
                calls: settled.calls.as_deref(),
            };
            self.entered(task, entered).await;
        }
        match settled.end(task.run, lease, &self.name) {
            Some(end) if task.has_effects() || end.has_effects() => {
                let body = &message.delivery.body;
                let origins = self.origins();
                within(until, message, origins.perform(task, &end, body)).await
            }
            _ => disposition,
        }
    }

    /// The disposition of a message whose task has ended with effects left.
    pub(super) async fn perform_left(
        &self,
        task: &Task,
        left: Unfinished,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        let body = &message.delivery.body;
        within(
            until,
            message,
            self.origins().perform_left(task, left, body),
        )
        .await
    }

    /// The disposition of a message whose task has ended, with or without effects left.
    pub(super) async fn perform_if_left(
        &self,
        task: &Task,
        message: &Message,
        until: Instant,
    ) -> Disposition {
        let body = &message.delivery.body;
        within(until, message, self.origins().perform_if_left(task, body)).await
    }
}

/// Acknowledges a message after its task's effects. A message whose effects are left, or are not done
/// within the worker's time, is delivered again after a backoff.
async fn within(
    until: Instant,
    message: &Message,
    performing: impl Future<Output = Effects>,
) -> Disposition {
    let performed = tokio::time::timeout_at(until.into(), performing).await;
    match performed.unwrap_or(Effects::Left) {
        Effects::Done => Disposition::Acknowledge,
        Effects::Left => Disposition::Redeliver(backoff(message.delivery.deliveries)),
        Effects::Later(delay) => Disposition::Redeliver(delay),
    }
}
