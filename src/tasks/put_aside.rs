//! What becomes of a message that nobody can work on: its task fails with the reason, the message is
//! kept with it, and only then is it done with. Each step may be repeated.

use std::time::Duration;

use uuid::Uuid;

use super::result::TaskError;
use super::state::State;
use super::task::Task;
use crate::http::Chain;
use crate::metrics;
use crate::queue::DeadLetters;
use crate::store::tasks::Rejected;
use crate::store::{StoreError, TaskStore};

/// Whose message it is.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// This task's: its record keeps the input, so that it can be run again.
    Task(&'a Task),
    /// That of a task of which only the id could be read.
    Id(Uuid),
    /// Nobody's.
    Nobody,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutAside {
    /// It is kept with the reason, or its task has ended and it is of no use: it may be deleted.
    Done,
    /// A worker has its task: it is to come again after this time.
    Held(Duration),
    /// The table or the queue does not answer.
    Failed,
}

/// Puts a message aside for `error`, whose text becomes the reason.
pub async fn put_aside(
    tasks: &TaskStore,
    dead_letters: &DeadLetters,
    body: &str,
    owner: Owner<'_>,
    error: &TaskError,
) -> PutAside {
    let task_id = owner.id();
    tracing::warn!(?task_id, reason = error.message, "a message is put aside");
    match reject(tasks, owner, error).await {
        // The message's word for its job may be any.
        Ok(Rejected::Written) if task_id.is_some() => metrics::reached("unknown", State::Failed),
        Ok(Rejected::Written) => {}
        Ok(Rejected::Ended) => return PutAside::Done,
        Ok(Rejected::Held { ends_in }) => return PutAside::Held(ends_in),
        Err(error) => {
            tracing::error!(?task_id, error = %Chain(&error), "a task could not be failed");
            return PutAside::Failed;
        }
    }
    match dead_letters.put(body, &error.message).await {
        Ok(()) => PutAside::Done,
        Err(error) => {
            tracing::error!(?task_id, error = %Chain(&error), "a message could not be kept");
            PutAside::Failed
        }
    }
}

async fn reject(
    tasks: &TaskStore,
    owner: Owner<'_>,
    error: &TaskError,
) -> Result<Rejected, StoreError> {
    match owner {
        Owner::Task(task) => tasks.reject(task, error).await,
        Owner::Id(id) => tasks.reject_id(id, error).await,
        Owner::Nobody => Ok(Rejected::Written),
    }
}

impl Owner<'_> {
    fn id(self) -> Option<Uuid> {
        match self {
            Owner::Task(task) => Some(task.id),
            Owner::Id(id) => Some(id),
            Owner::Nobody => None,
        }
    }

    /// Whose a body is that is no task, or one of another version.
    pub fn of_unreadable(body: &str) -> Owner<'static> {
        Task::find_id(body).map_or(Owner::Nobody, Owner::Id)
    }
}
