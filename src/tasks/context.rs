//! What a job knows of the task it works on, and how it tells how far it is.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

use super::job::JobError;
use super::record::Progress;
use super::store::Saved;

/// Saves that wait to be written; a job that saves faster than the table takes it waits.
const WAITING_SAVES: usize = 1;

/// What a job knows of the task it works on. A job runs on a thread of its own, so that it may
/// block; what it tells goes to the worker's thread, which alone talks to AWS.
#[derive(Debug)]
pub struct TaskContext {
    /// The task. It is the same in all attempts, so it can serve as the key that makes an effect
    /// outside safe to repeat.
    pub id: Uuid,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    saved: Saved,
    progress: watch::Sender<Option<Progress>>,
    saves: mpsc::Sender<Save>,
}

/// The worker's end of a [`TaskContext`].
#[derive(Debug)]
pub(super) struct Line {
    pub progress: watch::Receiver<Option<Progress>>,
    pub saves: mpsc::Receiver<Save>,
    /// A piece that is being written.
    pub unwritten: Option<Save>,
    /// Whether this attempt has saved anything.
    pub has_saved: bool,
}

/// A piece to save.
#[derive(Debug)]
pub(super) struct Save {
    pub piece: u32,
    pub json: String,
    pub done: oneshot::Sender<Result<(), JobError>>,
}

impl TaskContext {
    /// A context and the worker's end of it; `saved` is what earlier attempts have saved.
    pub(super) fn connect(id: Uuid, attempt: u32, saved: Saved) -> (TaskContext, Line) {
        let (progress, progress_end) = watch::channel(None);
        let (saves, saves_end) = mpsc::channel(WAITING_SAVES);
        let context = TaskContext {
            id,
            attempt,
            saved,
            progress,
            saves,
        };
        let line = Line {
            progress: progress_end,
            saves: saves_end,
            unwritten: None,
            has_saved: false,
        };
        (context, line)
    }

    /// For tests: a context of a first attempt that nobody listens to.
    pub fn detached(id: Uuid) -> TaskContext {
        TaskContext::connect(id, 1, Saved::new()).0
    }

    /// Tells how far the task is, for whoever reads its record. Cheap to call often: it is written
    /// at most about once a second.
    pub fn progress(&self, done: u64, total: Option<u64>, message: impl Into<String>) {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        self.progress.send_replace(Some(Progress {
            done,
            total,
            message,
        }));
    }

    /// Saves a piece of what is done under a number, so that the next attempt need not do it again.
    /// An attempt that has saved something and ends with its worker's time does not count against
    /// the attempts that are allowed, so a long job may take many invocations.
    ///
    /// # Errors
    /// When the table does not take it; return the error, and the attempt is repeated.
    pub async fn save<T: Serialize>(&self, piece: u32, value: &T) -> Result<(), JobError> {
        let json = serde_json::to_string(value)
            .map_err(|error| JobError::permanent("InvalidCheckpoint", error.to_string()))?;
        let (done, saved) = oneshot::channel();
        let save = Save { piece, json, done };
        let stopped = || JobError::transient("Stopped", "the worker has stopped this attempt");
        self.saves.send(save).await.map_err(|_| stopped())?;
        saved.await.map_err(|_| stopped())?
    }

    /// What earlier attempts have saved, by their numbers.
    ///
    /// # Errors
    /// When it is not of this type.
    pub fn saved<T: DeserializeOwned>(&self) -> Result<Vec<(u32, T)>, JobError> {
        let read = |(piece, json): &(u32, String)| Ok((*piece, serde_json::from_str(json)?));
        let saved: serde_json::Result<Vec<_>> = self.saved.iter().map(read).collect();
        saved.map_err(|error| JobError::permanent("InvalidCheckpoint", error.to_string()))
    }
}
