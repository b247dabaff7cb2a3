//! Tasks of other wire formats: their messages, and what their ends set off.

use std::sync::Arc;
use std::time::Duration;

use super::dead_letter::put;
use super::message::Delivery;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::format::{Decoded, EffectError, Format, Incoming};
use crate::tasks::job::JobError;
use crate::tasks::metrics::Counter;
use crate::tasks::queue::DeadLetters;
use crate::tasks::record::{End, TaskError};
use crate::tasks::retry::RetryPolicy;
use crate::tasks::store::{Place, TaskStore, Unfinished};
use crate::tasks::task::Task;
use crate::tasks::wire;

/// The formats, and where their tasks are kept and counted.
#[derive(Clone, Copy)]
pub(super) struct Origins<'a> {
    pub tasks: &'a TaskStore,
    pub dead_letters: &'a DeadLetters,
    pub counter: &'a Counter,
    pub formats: &'a [Arc<dyn Format>],
}

/// A message that was read.
pub(super) enum Read {
    /// A task of the service's own format.
    Own(Box<Task>),
    /// A message of another format.
    Foreign(Decoded),
    /// A message of no format.
    Unreadable(wire::NotATask),
}

/// Whether a task can be worked on.
pub(super) enum Prepared {
    /// The task is complete.
    Ready,
    /// A part of the task is lost: the task fails with this error.
    Lost(TaskError),
    /// The task has gone on without this message: the message is acknowledged.
    Past,
    /// The message comes before the end that sent it was noted as done: it is delivered again.
    Early,
}

/// Whether what an end sets off is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Effects {
    Done,
    /// The message must be delivered again.
    Left,
    /// The message must be delivered again after this time.
    Later(Duration),
}

impl<'a> Origins<'a> {
    pub fn read(&self, delivery: &Delivery) -> Read {
        let now = now_ms();
        let error = match wire::decode(&delivery.body, now) {
            Ok(task) => return Read::Own(Box::new(task)),
            Err(error) => error,
        };
        let message = Incoming {
            body: &delivery.body,
            sent_at: delivery.sent_at,
            now,
        };
        let mut formats = self.formats.iter();
        let foreign = formats.find_map(|format| format.decode(&message));
        foreign.map_or(Read::Unreadable(error), Read::Foreign)
    }

    /// The format of a task's origin.
    pub fn format_of(self, task: &Task) -> Option<&'a dyn Format> {
        let name = task.origin.as_ref()?.format.as_str();
        let mut formats = self.formats.iter().map(Arc::as_ref);
        formats.find(|format| format.name() == name)
    }

    /// Completes a task with an origin before the first write of its record: finds its run if the task has
    /// moved, reads what the message left out, and stores what is too large for the record.
    pub async fn prepare(&self, task: &mut Task) -> Result<Prepared, StoreError> {
        if task.origin.is_none() {
            return Ok(Prepared::Ready);
        }
        let lost = |message: &str| Ok(Prepared::Lost(TaskError::new("OriginLost", message)));
        match self.tasks.read_origin(task).await {
            Ok(true) => {}
            Ok(false) => return lost("the stored data of the task's format is gone"),
            Err(StoreError::Corrupt(_)) => {
                return lost("the stored data of the task's format is unreadable");
            }
            Err(error) => return Err(error),
        }
        self.tasks.put_large(task).await?;
        if let Some(lost) = self.read_input(task).await? {
            return Ok(Prepared::Lost(lost));
        }
        if task.generation == 0 {
            return Ok(Prepared::Ready);
        }
        Ok(match self.tasks.place(task).await? {
            Place::Now => Prepared::Ready,
            Place::Past => Prepared::Past,
            Place::Early => Prepared::Early,
        })
    }

    /// Reads an input that the message left out and the task's end needs. The error is final.
    async fn read_input(&self, task: &mut Task) -> Result<Option<TaskError>, StoreError> {
        let format = self.format_of(task);
        let is_needed = format.is_some_and(|format| format.needs_input(task));
        if !is_needed || task.input().is_some() {
            return Ok(None);
        }
        match self.tasks.stored_input(task).await {
            Ok(Some(input)) => task.set_input(input),
            Ok(None) | Err(StoreError::Corrupt(_)) => {
                let message = "the stored input is gone or unreadable";
                return Ok(Some(TaskError::new("InputLost", message)));
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// Performs what the end of a run sets off, and notes that it is done. A crash in between repeats the
    /// effects, which are safe to repeat.
    pub async fn perform(&self, task: &Task, end: &End, body: &str) -> Effects {
        let performed = match (self.format_of(task), &task.origin) {
            (Some(format), _) => format.perform(task, end).await,
            (None, None) => Ok(()),
            (None, Some(_)) => Err(EffectError::Permanent("the format is unknown".to_owned())),
        };
        match performed {
            Ok(()) if end.is_rejected => self.reject(task, end, body).await,
            Ok(()) => self.finish(task, end).await,
            Err(EffectError::Permanent(reason)) => self.give_up(task, end, body, &reason).await,
            Err(EffectError::Later(delay)) => Effects::Later(delay),
            Err(EffectError::Transient(error)) => {
                let error = Chain(&*error);
                tracing::warn!(task_id = %task.id, %error, "a task's effects are left");
                Effects::Left
            }
        }
    }

    /// As [`Origins::perform`], for an end that another delivery or process has written.
    pub async fn perform_left(&self, task: &Task, left: Unfinished, body: &str) -> Effects {
        let attempted = match self.tasks.as_attempted(task, &left).await {
            Ok(attempted) => attempted,
            // What the message has is the next best.
            Err(StoreError::Corrupt(_)) => None,
            Err(error) => return left_by(task, &error),
        };
        let task = attempted.as_ref().unwrap_or(task);
        match self.tasks.read_end(task, left).await {
            Ok((end, true)) => self.perform(task, &end, body).await,
            // Another delivery would read the same rows.
            Ok((mut end, false)) => {
                let reason = "the stored result is unreadable";
                tracing::error!(task_id = %task.id, reason, "a task's end is told as a failure");
                end.error = Some(TaskError::new("ResultLost", reason));
                (end.result, end.calls) = (None, None);
                self.perform(task, &end, body).await
            }
            Err(error) => left_by(task, &error),
        }
    }

    /// As [`Origins::perform_left`], if the task has ended and has effects left.
    pub async fn perform_if_left(&self, task: &Task, body: &str) -> Effects {
        match self.tasks.unfinished(task).await {
            Ok(Some(left)) => self.perform_left(task, left, body).await,
            Ok(None) => Effects::Done,
            Err(error) => left_by(task, &error),
        }
    }

    /// Dead-letters the message, because the body refused it.
    async fn reject(&self, task: &Task, end: &End, body: &str) -> Effects {
        let reason = end.error.as_ref().map(|error| error.message.as_str());
        let reason = reason.unwrap_or("the body refused the message");
        match put(self.tasks, self.dead_letters, body, Some(&task.id), reason).await {
            true => self.finish(task, end).await,
            false => Effects::Left,
        }
    }

    /// Dead-letters the message, because no try would perform the effects.
    async fn give_up(&self, task: &Task, end: &End, body: &str, reason: &str) -> Effects {
        let reason = format!("the effects of the task's end failed: {reason}");
        match put(self.tasks, self.dead_letters, body, Some(&task.id), &reason).await {
            true => self.finish(task, end).await,
            false => Effects::Left,
        }
    }

    async fn finish(&self, task: &Task, end: &End) -> Effects {
        match self.tasks.finish_effects(task, end).await {
            Ok(()) => Effects::Done,
            Err(error) => left_by(task, &error),
        }
    }
}

/// The time to the next try of a task's effects, after so many deliveries of the message.
pub(super) fn backoff(deliveries: u32) -> Duration {
    let policy = RetryPolicy {
        max_retries: u32::MAX,
        ..RetryPolicy::default()
    };
    let error = JobError::transient("EffectsLeft", "");
    let delay = policy.delay(deliveries.max(1), &error, fastrand::f64());
    delay.unwrap_or(policy.cap)
}

fn left_by(task: &Task, error: &StoreError) -> Effects {
    tracing::error!(task_id = %task.id, error = %Chain(error), "a task's effects are left");
    Effects::Left
}
