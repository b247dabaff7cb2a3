//! One attempt: the job on its thread, and the heartbeats beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{HEARTBEATS_PER_LEASE, Worker};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::context::{Channels, TaskContext};
use crate::tasks::job::JobError;
use crate::tasks::registry::{AnyJob, Call, Output};
use crate::tasks::retry::RetryPolicy;
use crate::tasks::store::{Fenced, Lease, Saved};
use crate::tasks::task::Task;

/// The shortest time between two writes of a task's progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The longest wait for a job to stop. A job stops at its next await point; a job without an await
/// point blocks its thread.
const GRACE: Duration = Duration::from_secs(1);

/// A time limit longer than any attempt.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How an attempt ended.
pub(super) enum Outcome {
    Finished(Result<Output, JobError>),
    /// The worker's time is over.
    OutOfTime {
        /// Whether the attempt has saved a checkpoint.
        has_saved: bool,
    },
    /// The task's caller cancelled it.
    Cancelled,
    /// Another worker holds the lease: this attempt must not write any more.
    LeaseLost,
    /// The input or the checkpoints could not be read.
    StoreFailed(StoreError),
}

impl Worker {
    /// Runs a job until the job ends, the lease is lost, the caller cancels the task, or the time
    /// limit or the worker's time is over.
    pub(super) async fn attempt(
        &self,
        task: &Arc<Task>,
        job: Arc<dyn AnyJob>,
        policy: RetryPolicy,
        lease: &Lease,
        until: Instant,
    ) -> Outcome {
        if let Some(error) = attempts_exhausted(lease, policy) {
            return Outcome::Finished(Err(error));
        }
        let limit = time_limit(task, job.as_ref());
        let (input, saved) = match self.input_and_checkpoints(task, lease).await {
            Ok((input, saved)) => match self.job_input(task, job.as_ref(), input) {
                Ok(input) => (input, saved),
                Err(error) => return Outcome::Finished(Err(error)),
            },
            Err(outcome) => return outcome,
        };
        let trace = task.trace_in(lease.attempt);
        let (context, mut channels) =
            TaskContext::connect(task.id.clone(), lease.attempt, trace, saved);
        let call = Call {
            task: Arc::clone(task),
            input,
            context,
            deadline: deadline(limit, until),
            limit,
        };
        // A job that calls AWS blocks no thread, and its connections are the worker's own.
        let mut running = match job.calls_aws() {
            true => tokio::spawn(job.run(call)),
            false => self.runner.spawn(job.run(call)),
        };
        let limit = limit.unwrap_or(NO_LIMIT);
        let outcome = tokio::select! {
            ended = &mut running => {
                // A panicking job fails its own task; the other tasks of the batch go on.
                let panicked = |_| Err(JobError::permanent("Panicked", "the job panicked"));
                return Outcome::Finished(ended.unwrap_or_else(panicked));
            }
            outcome = self.heartbeat(task, lease, &mut channels) => outcome,
            () = tokio::time::sleep(limit) => Outcome::Finished(Err(time_limit_exceeded(limit))),
            () = tokio::time::sleep_until(until.into()) => Outcome::OutOfTime { has_saved: false },
        };
        self.stop_job(running, lease).await;
        match outcome {
            Outcome::OutOfTime { .. } => self.save_remaining(lease, &mut channels).await,
            outcome => outcome,
        }
    }

    /// The task's input, and the checkpoints of earlier attempts; or the outcome of an attempt without them.
    async fn input_and_checkpoints(
        &self,
        task: &Task,
        lease: &Lease,
    ) -> Result<(Box<RawValue>, Saved), Outcome> {
        match self.read_input_and_checkpoints(task, lease).await {
            Ok((Some(input), saved)) => Ok((input, saved)),
            Ok((None, _)) => Err(input_lost("the stored input is gone")),
            // Another attempt would read the same rows.
            Err(StoreError::Corrupt(reason)) => {
                tracing::error!(task_id = %task.id, reason, "a task's stored input is unreadable");
                Err(input_lost("the stored input is unreadable"))
            }
            Err(error) => Err(Outcome::StoreFailed(error)),
        }
    }

    async fn read_input_and_checkpoints(
        &self,
        task: &Task,
        lease: &Lease,
    ) -> Result<(Option<Box<RawValue>>, Saved), StoreError> {
        let input = match task.input() {
            Some(input) => Some(input.to_owned()),
            None => self.tasks.stored_input(task).await?,
        };
        // A restarted task keeps the checkpoints of its earlier runs: they are still valid.
        let saved = match lease.attempt > 1 || task.run > 1 {
            true => self.tasks.saved(lease).await?,
            false => Saved::new(),
        };
        Ok((input, saved))
    }

    /// The job's input. Another format's input is not the job's own form.
    fn job_input(
        &self,
        task: &Task,
        job: &dyn AnyJob,
        input: Box<RawValue>,
    ) -> Result<Box<RawValue>, JobError> {
        match self.origins().format_of(task) {
            Some(format) if !job.is_remote() => format.input(task, job, input),
            _ => Ok(input),
        }
    }

    /// Sends heartbeats until the lease is lost or the task is cancelled, and writes the job's
    /// progress and checkpoints.
    async fn heartbeat(&self, task: &Task, lease: &Lease, channels: &mut Channels) -> Outcome {
        let every = self.lease / HEARTBEATS_PER_LEASE;
        let mut tick = tokio::time::interval(every.min(PROGRESS_EVERY));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut extended = Instant::now();
        loop {
            let fenced = tokio::select! {
                Some(checkpoint) = channels.checkpoints.recv() => {
                    channels.unwritten = Some(checkpoint);
                    self.save(lease, channels).await
                }
                _ = tick.tick() => {
                    let has_progress = channels.progress.has_changed().unwrap_or(false);
                    if !has_progress && extended.elapsed() < every {
                        continue;
                    }
                    extended = Instant::now();
                    let fenced = self.extend(lease, channels).await;
                    if has_progress && matches!(fenced, Fenced::Written) {
                        self.progressed(task, lease, channels).await;
                    }
                    fenced
                }
            };
            match fenced {
                Fenced::Written => {}
                Fenced::Cancelled => return Outcome::Cancelled,
                Fenced::Lost => return Outcome::LeaseLost,
            }
        }
    }

    async fn extend(&self, lease: &Lease, channels: &mut Channels) -> Fenced {
        let progress = channels.progress.borrow_and_update().clone();
        let extended = self.tasks.extend(lease, self.lease, progress.as_ref());
        extended.await.unwrap_or_else(|error| {
            // The next heartbeat tries again, and the lease may last till then. If the lease ends
            // before, the fencing token stops the write of the result.
            tracing::warn!(task_id = %lease.id, error = %Chain(&error), "a heartbeat failed");
            Fenced::Written
        })
    }

    /// Writes the remaining checkpoints of a job that was stopped, so that the next attempt does not
    /// repeat their work.
    async fn save_remaining(&self, lease: &Lease, channels: &mut Channels) -> Outcome {
        loop {
            if channels.unwritten.is_none() {
                channels.unwritten = channels.checkpoints.try_recv().ok();
            }
            if channels.unwritten.is_none() {
                let has_saved = channels.has_saved;
                return Outcome::OutOfTime { has_saved };
            }
            match self.save(lease, channels).await {
                Fenced::Written => {}
                Fenced::Cancelled => return Outcome::Cancelled,
                Fenced::Lost => return Outcome::LeaseLost,
            }
        }
    }

    /// Saves the unwritten checkpoint. A future that is dropped before its end leaves the checkpoint
    /// in place for another call: saving a checkpoint twice is harmless. The job handles a failure to
    /// save; the worker handles a lost lease.
    async fn save(&self, lease: &Lease, channels: &mut Channels) -> Fenced {
        let Some(checkpoint) = &channels.unwritten else {
            return Fenced::Written;
        };
        let stopped = || JobError::transient("Stopped", "the lease is lost");
        let (answer, fenced) = match self
            .tasks
            .save(lease, checkpoint.number, &checkpoint.json)
            .await
        {
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
        channels.has_saved |= answer.is_ok();
        if let Some(checkpoint) = channels.unwritten.take() {
            // A stopped job has dropped the receiver.
            let _ = checkpoint.done.send(answer);
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

/// The error of a task whose allowed attempts were all claimed without an end. This bounds how often
/// a message that kills its worker is delivered.
fn attempts_exhausted(lease: &Lease, policy: RetryPolicy) -> Option<JobError> {
    let allowed = policy.max_retries.saturating_add(1);
    (lease.counted > allowed).then(|| {
        let message =
            format!("{allowed} attempts were begun and the last did not end: its worker died");
        JobError::permanent("WorkerLost", message)
    })
}

/// The time limit of the submission or of the job.
fn time_limit(task: &Task, job: &dyn AnyJob) -> Option<Duration> {
    let limit = task.options.time_limit.map(Duration::from_secs);
    limit.or_else(|| job.time_limit())
}

/// The end of an attempt's time, in milliseconds since the Unix epoch.
fn deadline(limit: Option<Duration>, until: Instant) -> u64 {
    let left = until.saturating_duration_since(Instant::now());
    let left = left.min(limit.unwrap_or(NO_LIMIT));
    now_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn input_lost(message: &str) -> Outcome {
    Outcome::Finished(Err(JobError::permanent("InputLost", message)))
}

fn time_limit_exceeded(limit: Duration) -> JobError {
    let message = format!("the attempt did not end within {} s", limit.as_secs());
    JobError::permanent("TimeLimitExceeded", message)
}
