//! Accepting a task.

use http::StatusCode;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::http::HttpError;
use crate::ids::now_ms;
use crate::queue::{QueueError, TaskMessage, TaskQueue};
use crate::store::{StoreError, TaskStore};

/// Takes tasks.
#[derive(Debug, Clone)]
pub struct Submitter {
    queue: TaskQueue,
    tasks: TaskStore,
}

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The queue did not take it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// It is in the queue and will run, but its record could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Submitter {
    /// Submits to `queue`, with records in `tasks`.
    pub fn new(queue: TaskQueue, tasks: TaskStore) -> Submitter {
        Submitter { queue, tasks }
    }

    /// Accepts a task and gives its id.
    ///
    /// The message is sent first, and the record written then: a crash in between leaves a task
    /// that runs, and never a record that waits for a message nobody sent. The worker writes the
    /// record when it is faster, which the put here takes as done.
    pub async fn submit(&self, job: &str, input: Box<RawValue>) -> Result<Uuid, SubmitError> {
        let message = TaskMessage::new(Uuid::new_v4(), job, input, now_ms());
        self.queue.send(&message).await?;
        self.tasks.submitted(&message.submitted()).await?;
        Ok(message.id)
    }
}

impl From<SubmitError> for HttpError {
    fn from(error: SubmitError) -> HttpError {
        match error {
            SubmitError::Queue(QueueError::TooLarge { limit, .. }) => HttpError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The input is larger than {} KB", limit / 1024),
            ),
            SubmitError::Queue(error) => HttpError::unavailable(error),
            SubmitError::Store(error) => HttpError::unavailable(error),
        }
    }
}
