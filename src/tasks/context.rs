//! A job's view of its task: the id, the checkpoints, and the reports of progress.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};

use super::id::TaskId;
use super::job::JobError;
use super::record::Progress;
use super::store::Saved;
use crate::trace::Trace;

/// Checkpoints that wait for their write. A job that checkpoints faster than the table writes has to wait.
const WAITING_CHECKPOINTS: usize = 1;

/// A job's view of its task. Jobs run on a thread of their own, so a job may block. Progress and
/// checkpoints go to the worker's thread, because only the worker's thread calls AWS.
#[derive(Debug)]
pub struct TaskContext {
    /// The task's id. All attempts have the same id, so it can serve as the idempotency key of calls
    /// to other services.
    pub id: TaskId,
    /// The attempt's number, from 1.
    pub attempt: u32,
    trace: Option<Trace>,
    saved: Saved,
    progress: watch::Sender<Option<Progress>>,
    checkpoints: mpsc::Sender<Checkpoint>,
}

/// The worker's end of a [`TaskContext`].
#[derive(Debug)]
pub(super) struct Channels {
    pub progress: watch::Receiver<Option<Progress>>,
    pub checkpoints: mpsc::Receiver<Checkpoint>,
    /// The checkpoint that is being written.
    pub unwritten: Option<Checkpoint>,
    /// Whether this attempt has saved a checkpoint.
    pub has_saved: bool,
}

/// A checkpoint to write.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub number: u32,
    pub json: String,
    pub done: oneshot::Sender<Result<(), JobError>>,
}

impl TaskContext {
    /// A context and the worker's end of it; `trace` is that of the attempt, and `saved` holds the checkpoints of
    /// earlier attempts.
    pub(super) fn connect(
        id: TaskId,
        attempt: u32,
        trace: Option<Trace>,
        saved: Saved,
    ) -> (TaskContext, Channels) {
        let (progress, progress_end) = watch::channel(None);
        let (checkpoints, checkpoints_end) = mpsc::channel(WAITING_CHECKPOINTS);
        let context = TaskContext {
            id,
            attempt,
            trace,
            saved,
            progress,
            checkpoints,
        };
        let channels = Channels {
            progress: progress_end,
            checkpoints: checkpoints_end,
            unwritten: None,
            has_saved: false,
        };
        (context, channels)
    }

    /// For tests: the context of a first attempt, without a worker at the other end.
    pub fn detached(id: TaskId) -> TaskContext {
        TaskContext::connect(id, 1, None, Saved::new()).0
    }

    /// For tests: the same context in a trace.
    pub fn in_trace(self, trace: Trace) -> TaskContext {
        TaskContext {
            trace: Some(trace),
            ..self
        }
    }

    /// Another view of the same task, for a job that calls other jobs.
    pub fn share(&self) -> TaskContext {
        TaskContext {
            id: self.id.clone(),
            attempt: self.attempt,
            trace: self.trace.clone(),
            saved: self.saved.clone(),
            progress: self.progress.clone(),
            checkpoints: self.checkpoints.clone(),
        }
    }

    /// The trace that the task was submitted in, with a span of this attempt: for the headers of calls to other
    /// services. `None` for a task without a trace.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Reports progress; readers of the task's record see the last report. Cheap to call often: the
    /// worker writes the record about once a second at most.
    pub fn progress(&self, done: u64, total: Option<u64>, message: impl Into<String>) {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        self.progress.send_replace(Some(Progress {
            done,
            total,
            message,
        }));
    }

    /// Saves a checkpoint: finished work under a number, which the next attempt need not repeat. An
    /// attempt that saved a checkpoint and ends with its worker's time does not count against the
    /// retry limit, so a long job may take many invocations.
    ///
    /// # Errors
    /// When the checkpoint could not be written. Return the error, and the attempt is repeated.
    pub async fn save<T: Serialize>(&self, number: u32, value: &T) -> Result<(), JobError> {
        let json = serde_json::to_string(value)
            .map_err(|error| JobError::permanent("InvalidCheckpoint", error.to_string()))?;
        let (done, saved) = oneshot::channel();
        let checkpoint = Checkpoint { number, json, done };
        let stopped = || JobError::transient("Stopped", "the worker has stopped this attempt");
        self.checkpoints
            .send(checkpoint)
            .await
            .map_err(|_| stopped())?;
        saved.await.map_err(|_| stopped())?
    }

    /// The checkpoints of earlier attempts, each with its number.
    ///
    /// # Errors
    /// When a checkpoint is not of this type.
    pub fn saved<T: DeserializeOwned>(&self) -> Result<Vec<(u32, T)>, JobError> {
        let read = |(number, json): &(u32, String)| Ok((*number, serde_json::from_str(json)?));
        let saved: serde_json::Result<Vec<_>> = self.saved.iter().map(read).collect();
        saved.map_err(|error| JobError::permanent("InvalidCheckpoint", error.to_string()))
    }
}
