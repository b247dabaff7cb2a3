//! One attempt: the job on its thread, and beside it what keeps the lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{HEARTBEATS_PER_LEASE, Worker};
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::context::{Line, TaskContext};
use crate::tasks::job::JobError;
use crate::tasks::registry::AnyJob;
use crate::tasks::retry::RetryPolicy;
use crate::tasks::store::{Fenced, Lease, Saved};
use crate::tasks::task::Task;

/// How often a task's progress is written at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long a job that is told to stop is waited for. It stops at its next await point; one that
/// does not have one soon blocks its thread.
const GRACE: Duration = Duration::from_secs(1);

/// A time limit that no attempt meets.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How an attempt ended.
pub(super) enum Outcome {
    Finished(Result<String, JobError>),
    /// The worker's time is over.
    OutOfTime {
        /// Whether the attempt has saved something to go on from.
        has_saved: bool,
    },
    /// The task's caller cancelled it.
    Cancelled,
    /// Another worker has the task: this attempt must write no more.
    LeaseLost,
    /// What the attempt needs could not be read.
    Unread(StoreError),
}

impl Worker {
    /// Runs a job until it ends, its lease is lost, its caller cancels it, or its time or the
    /// worker's is over.
    pub(super) async fn attempt(
        &self,
        task: &Task,
        job: Arc<dyn AnyJob>,
        policy: RetryPolicy,
        lease: &Lease,
        until: Instant,
    ) -> Outcome {
        if let Some(error) = exhausted(lease, policy) {
            return Outcome::Finished(Err(error));
        }
        let limit = task.options.time_limit.map(Duration::from_secs);
        let limit = limit.or_else(|| job.time_limit()).unwrap_or(NO_LIMIT);
        let (input, saved) = match self.provisions(task, lease).await {
            Ok((Some(input), saved)) => (input, saved),
            Ok((None, _)) => {
                let error = JobError::permanent("InputLost", "the stored input is gone");
                return Outcome::Finished(Err(error));
            }
            // Another attempt would read the same rows.
            Err(StoreError::Corrupt(reason)) => {
                tracing::error!(task_id = %task.id, reason, "a task's stored input is unreadable");
                let error = JobError::permanent("InputLost", "the stored input is unreadable");
                return Outcome::Finished(Err(error));
            }
            Err(error) => return Outcome::Unread(error),
        };
        let (context, mut line) = TaskContext::connect(task.id, lease.attempt, saved);
        let mut running = self.runner.spawn(job.run(input, context));
        let outcome = tokio::select! {
            ended = &mut running => {
                // A panicking job fails its own task; the others of the batch go on.
                let panicked = |_| Err(JobError::permanent("Panicked", "the job panicked"));
                return Outcome::Finished(ended.unwrap_or_else(panicked));
            }
            outcome = self.attend(lease, &mut line) => outcome,
            () = tokio::time::sleep(limit) => Outcome::Finished(Err(too_long(limit))),
            () = tokio::time::sleep_until(until.into()) => Outcome::OutOfTime { has_saved: false },
        };
        self.stop_job(running, lease).await;
        match outcome {
            Outcome::OutOfTime { .. } => self.out_of_time(lease, &mut line).await,
            outcome => outcome,
        }
    }

    /// What an attempt needs beside its task: the input, and what earlier attempts saved.
    async fn provisions(
        &self,
        task: &Task,
        lease: &Lease,
    ) -> Result<(Option<Box<RawValue>>, Saved), StoreError> {
        let input = match task.input() {
            Some(input) => Some(input.to_owned()),
            None => self.tasks.stored_input(task).await?,
        };
        // A task that was restarted begins anew, but what it saved is still true.
        let saved = match lease.attempt > 1 || task.run > 1 {
            true => self.tasks.saved(lease).await?,
            false => Saved::new(),
        };
        Ok((input, saved))
    }

    /// Extends a lease for as long as it is ours, and writes what the job tells.
    async fn attend(&self, lease: &Lease, line: &mut Line) -> Outcome {
        let every = self.lease / HEARTBEATS_PER_LEASE;
        let mut tick = tokio::time::interval(every.min(PROGRESS_EVERY));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut extended = Instant::now();
        loop {
            let fenced = tokio::select! {
                Some(save) = line.saves.recv() => {
                    line.unwritten = Some(save);
                    self.save(lease, line).await
                }
                _ = tick.tick() => {
                    let told = line.progress.has_changed().unwrap_or(false);
                    if !told && extended.elapsed() < every {
                        continue;
                    }
                    extended = Instant::now();
                    self.extend(lease, line).await
                }
            };
            match fenced {
                Fenced::Written => {}
                Fenced::Cancelled => return Outcome::Cancelled,
                Fenced::Lost => return Outcome::LeaseLost,
            }
        }
    }

    async fn extend(&self, lease: &Lease, line: &mut Line) -> Fenced {
        let progress = line.progress.borrow_and_update().clone();
        let extended = self.tasks.extend(lease, self.lease, progress.as_ref());
        extended.await.unwrap_or_else(|error| {
            // The next heartbeat tries again, and the lease may last till then. If it does not, the
            // write of the result finds out.
            tracing::warn!(task_id = %lease.id, error = %Chain(&error), "a heartbeat failed");
            Fenced::Written
        })
    }

    /// Writes what the job has given to be saved and is not written yet, now that it has stopped: the
    /// next attempt need not do that again.
    async fn out_of_time(&self, lease: &Lease, line: &mut Line) -> Outcome {
        loop {
            if line.unwritten.is_none() {
                line.unwritten = line.saves.try_recv().ok();
            }
            if line.unwritten.is_none() {
                let has_saved = line.has_saved;
                return Outcome::OutOfTime { has_saved };
            }
            match self.save(lease, line).await {
                Fenced::Written => {}
                Fenced::Cancelled => return Outcome::Cancelled,
                Fenced::Lost => return Outcome::LeaseLost,
            }
        }
    }

    /// Saves the line's unwritten piece, which stays there if this is dropped on its way: saving it
    /// twice is harmless. That it cannot be saved is the job's to handle; that the lease is lost is
    /// not.
    async fn save(&self, lease: &Lease, line: &mut Line) -> Fenced {
        let Some(save) = &line.unwritten else {
            return Fenced::Written;
        };
        let stopped = || JobError::transient("Stopped", "the lease is lost");
        let (answer, fenced) = match self.tasks.save(lease, save.piece, &save.json).await {
            Ok(Fenced::Written) => (Ok(()), Fenced::Written),
            Ok(fenced) => (Err(stopped()), fenced),
            Err(StoreError::TooLarge) => {
                let error = JobError::permanent("CheckpointTooLarge", "a saved piece is too large");
                (Err(error), Fenced::Written)
            }
            Err(error) => {
                tracing::warn!(task_id = %lease.id, error = %Chain(&error), "a piece was not saved");
                let error = JobError::transient("CheckpointFailed", "a piece could not be saved");
                (Err(error), Fenced::Written)
            }
        };
        line.has_saved |= answer.is_ok();
        if let Some(save) = line.unwritten.take() {
            // A job that has stopped does not wait for the answer any more.
            let _ = save.done.send(answer);
        }
        fenced
    }

    async fn stop_job<T>(&self, mut running: JoinHandle<T>, lease: &Lease) {
        running.abort();
        if tokio::time::timeout(GRACE, &mut running).await.is_err() {
            tracing::warn!(task_id = %lease.id, "a job blocks its thread and does not stop");
            self.runner.replace();
        }
    }
}

/// The error of a task whose every allowed attempt was claimed and none came to an end: a message
/// that kills its worker must not do so for ever.
fn exhausted(lease: &Lease, policy: RetryPolicy) -> Option<JobError> {
    let allowed = policy.max_retries.saturating_add(1);
    (lease.counted > allowed).then(|| {
        let message =
            format!("{allowed} attempts were begun and the last did not end: its worker died");
        JobError::permanent("WorkerLost", message)
    })
}

fn too_long(limit: Duration) -> JobError {
    let message = format!("the attempt did not end within {} s", limit.as_secs());
    JobError::permanent("TimeLimitExceeded", message)
}
