//! Messages that cannot be processed. The task fails with the reason, the message goes to the
//! dead-letter queue with the reason, and then the message is acknowledged. Each step may be repeated.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde_json::json;

use super::message::Delivery;
use super::origin::{Effects, Origins, Prepared, Read};
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::format::{Decoded, Format};
use crate::tasks::id::TaskId;
use crate::tasks::metrics::Counter;
use crate::tasks::queue::{DeadLetters, room_for_reason};
use crate::tasks::record::TaskError;
use crate::tasks::state::State;
use crate::tasks::store::{Rejected, TaskStore};
use crate::tasks::task::Task;
use crate::tasks::wire;

/// The task that a message belongs to.
#[derive(Debug, Clone)]
pub(super) enum Owner<'a> {
    /// A readable task. Its record keeps the input, so that the task can run again.
    Task(&'a Task),
    /// A task whose message has only a readable id.
    Id(TaskId),
    /// No task: the message has no readable id.
    Unknown,
}

/// The outcome of dead-lettering a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeadLettered {
    /// The message is in the dead-letter queue, and may be acknowledged.
    Done,
    /// The task had ended and needs no message: the message may be acknowledged when the effects of that end
    /// are done.
    Ended,
    /// A worker holds the task: the message must be delivered again after this time.
    Held(Duration),
    /// The table or the queue did not answer.
    Failed,
}

impl Origins<'_> {
    /// Fails the task of a message with `error`, and sends the message to the dead-letter queue with the
    /// error's text as the reason.
    pub(super) async fn dead_letter(
        self,
        body: &str,
        owner: Owner<'_>,
        error: &TaskError,
    ) -> DeadLettered {
        let task_id = owner.id().cloned();
        tracing::warn!(
            ?task_id,
            reason = error.message,
            "a message is dead-lettered"
        );
        match reject(self.tasks, owner, error).await {
            // Not the message's job, because that name may be any text.
            Ok(Rejected::Written) if task_id.is_some() => {
                self.counter.reached("unknown", State::Failed);
            }
            Ok(Rejected::Written | Rejected::Repeated) => {}
            Ok(Rejected::Ended) => return DeadLettered::Ended,
            Ok(Rejected::Held { ends_in }) => return DeadLettered::Held(ends_in),
            Err(error) => {
                tracing::error!(?task_id, error = %Chain(&error), "a task could not be failed");
                return DeadLettered::Failed;
            }
        }
        let (id, reason) = (task_id.as_ref(), &error.message);
        match put(self.tasks, self.dead_letters, body, id, reason).await {
            true => DeadLettered::Done,
            false => DeadLettered::Failed,
        }
    }
}

/// Sends a message to the dead-letter queue with the reason. `false` if AWS did not answer.
pub(super) async fn put(
    tasks: &TaskStore,
    dead_letters: &DeadLetters,
    body: &str,
    task_id: Option<&TaskId>,
    reason: &str,
) -> bool {
    let body = match with_room(tasks, body, task_id).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(?task_id, error = %Chain(&error), "a large message was not stored");
            return false;
        }
    };
    let put = dead_letters.put(&body, reason).await;
    if let Err(error) = &put {
        tracing::error!(?task_id, error = %Chain(error), "a message was not dead-lettered");
    }
    put.is_ok()
}

/// The body of the dead letter: the message's body, or a reference if the body leaves no room for the
/// reason. The body is then stored in the table of tasks.
async fn with_room<'a>(
    tasks: &TaskStore,
    body: &'a str,
    task_id: Option<&TaskId>,
) -> Result<Cow<'a, str>, StoreError> {
    if room_for_reason(body).is_some() {
        return Ok(body.into());
    }
    let (id, parts) = tasks.put_body(body).await?;
    let bytes = body.len();
    let reference =
        json!({"stored_body": {"id": id, "parts": parts, "bytes": bytes}, "task_id": task_id});
    Ok(reference.to_string().into())
}

async fn reject(
    tasks: &TaskStore,
    owner: Owner<'_>,
    error: &TaskError,
) -> Result<Rejected, StoreError> {
    match owner {
        Owner::Task(task) => tasks.reject(task, error).await,
        Owner::Id(id) => tasks.reject_id(&id, error).await,
        Owner::Unknown => Ok(Rejected::Written),
    }
}

impl DeadLettered {
    /// Whether the task has ended with effects that may be left. A run that had ended before may have effects
    /// that its task does not name.
    pub fn may_have_effects(self, task: &Task) -> bool {
        match self {
            DeadLettered::Done => task.has_effects(),
            DeadLettered::Ended => true,
            DeadLettered::Held(_) | DeadLettered::Failed => false,
        }
    }
}

impl Owner<'_> {
    fn id(&self) -> Option<&TaskId> {
        match self {
            Owner::Task(task) => Some(&task.id),
            Owner::Id(id) => Some(id),
            Owner::Unknown => None,
        }
    }

    /// The owner of a body that is unreadable, or of another version.
    pub fn of_unreadable(body: &str) -> Owner<'static> {
        wire::find_id(body).map_or(Owner::Unknown, Owner::Id)
    }
}

/// The consumer of the queue of undelivered messages: no worker acknowledged them within their allowed
/// deliveries, or EventBridge Scheduler could not send them. Their tasks fail with this reason, so that
/// no task waits for a message that never comes.
#[derive(Clone)]
pub struct DeadLetterHandler {
    /// The tasks' records.
    pub tasks: TaskStore,
    /// The dead-letter queue.
    pub dead_letters: DeadLetters,
    /// The wire formats beside the service's own.
    pub formats: Vec<Arc<dyn Format>>,
}

impl DeadLetterHandler {
    /// Fails the tasks of a batch and dead-letters their messages. Returns the ids of the messages to
    /// deliver again, because a worker holds their task or AWS did not answer.
    pub async fn run_batch(&self, batch: Vec<Delivery>) -> Vec<String> {
        let counter = Counter::new(self.tasks.counts());
        let handled = batch.iter().map(|delivery| self.handle(delivery, &counter));
        let handled: Vec<DeadLettered> = handled.collect::<FuturesOrdered<_>>().collect().await;
        counter.write().await;
        let again = batch.into_iter().zip(handled);
        let is_done = |handled| matches!(handled, DeadLettered::Done | DeadLettered::Ended);
        let again = again.filter(|(_, handled)| !is_done(*handled));
        again.map(|(delivery, _)| delivery.id).collect()
    }

    async fn handle(&self, delivery: &Delivery, counter: &Counter) -> DeadLettered {
        let origins = Origins {
            tasks: &self.tasks,
            dead_letters: &self.dead_letters,
            counter,
            formats: &self.formats,
        };
        let body = &delivery.body;
        let message = "the queue gave its message up: no worker has acknowledged it";
        let error = TaskError::new("DeadLettered", message);
        let mut task = match origins.read(delivery) {
            Read::Own(task)
            | Read::Foreign(Decoded::Task(task) | Decoded::Refused { task, .. }) => task,
            Read::Foreign(Decoded::Malformed(_)) | Read::Unreadable(_) => {
                let owner = Owner::of_unreadable(body);
                return origins.dead_letter(body, owner, &error).await;
            }
        };
        match origins.prepare(&mut task).await {
            // What is lost of the task changes nothing here: the task fails.
            Ok(Prepared::Ready | Prepared::Lost(_)) => {}
            Ok(Prepared::Past) => return DeadLettered::Done,
            Ok(Prepared::Early) => return DeadLettered::Failed,
            Err(error) => {
                tracing::error!(task_id = %task.id, error = %Chain(&error), "a task was not prepared");
                return DeadLettered::Failed;
            }
        }
        let owner = Owner::Task(&task);
        let handled = origins.dead_letter(body, owner, &error).await;
        match handled {
            handled if handled.may_have_effects(&task) => {
                match origins.perform_if_left(&task, body).await {
                    Effects::Done => DeadLettered::Done,
                    Effects::Left | Effects::Later(_) => DeadLettered::Failed,
                }
            }
            handled => handled,
        }
    }
}
