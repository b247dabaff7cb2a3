//! Submitting a task of Celery as a client does by `apply_async`: to the queues of this service with a record, and
//! to other queues of Celery's workers as a message.
//!
//! A task of an own queue is submitted in the service's own message, with the same [origin](super::origin) as if its
//! message had come from a client. So it has a caller, and is found as soon as it is accepted.

use uuid::Uuid;

use super::canvas::{Outgoing, Sender, Unsendable, apply};
use super::message::decode;
use super::origin::task_of;
use super::outbox::{Outbox, OutboxError};
use super::queue_name::is_same_queue;
use super::remote::RemoteBodies;
use crate::json::{Json, Object};
use crate::tasks::client::{SubmitError, Submitter};
use crate::tasks::id::TaskId;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;
use crate::tasks::wire;
use crate::trace::Trace;

/// The options that a caller may set who sees only own tasks. Others could change a task or a workflow of somebody
/// else, by its id.
const HARMLESS: [&str; 9] = [
    "countdown",
    "eta",
    "expires",
    "ignore_result",
    "priority",
    "queue",
    "shadow",
    "soft_time_limit",
    "time_limit",
];

/// Submits tasks of Celery.
#[derive(Debug, Clone)]
pub struct Applier {
    /// Submits the tasks of own queues.
    pub submitter: Submitter,
    /// All queues.
    pub outbox: Outbox,
    /// The URLs of the queues that this service receives from.
    pub own: Vec<String>,
    /// The tasks whose bodies run elsewhere.
    pub bodies: RemoteBodies,
}

/// What `apply_async` is called with.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The name of the task.
    pub task: String,
    /// The positional arguments.
    pub args: Vec<Json>,
    /// The keyword arguments.
    pub kwargs: Object,
    /// The options, such as `countdown` and `queue`. Null is no option.
    pub options: Object,
    /// The trace that the task is submitted in.
    pub trace: Option<Trace>,
}

/// Why a task is not submitted.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// No message can be made of the call.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// The engine does not take the task.
    #[error("{0}")]
    Refused(&'static str),
    /// The caller sees only own tasks, and this needs more.
    #[error("{0} needs a key with the scope admin")]
    Restricted(String),
    /// A queue of another worker does not take the message.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The task is not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

impl Applier {
    /// Submits a task for `caller`, and returns its id. A repeated call submits another task, unless the options have
    /// an id. `viewer` says what the caller may set; `now` is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When the task cannot be submitted. After a failure of the table the task may run.
    pub async fn apply(
        &self,
        call: Call,
        (viewer, caller): (&Viewer, Option<&str>),
        now: u64,
    ) -> Result<TaskId, ApplyError> {
        let is_restricted = viewer.only().is_some();
        let needs_more = needs_more(&call).filter(|_| is_restricted);
        if let Some(what) = needs_more {
            return Err(ApplyError::Restricted(what));
        }
        let outgoing = message(call, now)?;
        let url = self.outbox.url(&outgoing)?;
        if !self.own.iter().any(|own| is_same_queue(own, url)) {
            if is_restricted {
                return Err(ApplyError::Restricted(
                    "a queue of another worker".to_owned(),
                ));
            }
            let id = TaskId::parse(&outgoing.id).ok_or(UNREADABLE)?;
            self.outbox.send(&[outgoing]).await?;
            return Ok(id);
        }
        let mut task = self.task(&outgoing.body, now)?;
        task.caller = caller.map(str::to_owned);
        Ok(self.submitter.submit(task).await?.id)
    }

    /// The task of a message, as a worker makes it.
    fn task(&self, body: &str, now: u64) -> Result<Task, ApplyError> {
        let message = decode(body).map_err(|_| UNREADABLE)?;
        let is_remote = self.bodies.has_body_of(&message);
        let task = task_of(message, now, is_remote).ok_or(UNREADABLE)?;
        match wire::out_of_bounds(&task, now) {
            Some(reason) => Err(ApplyError::Refused(reason)),
            None => Ok(task),
        }
    }
}

const UNREADABLE: ApplyError =
    ApplyError::Refused("the name, the id or an option is not as Celery has it");

/// What of a call only a caller may ask for who sees all tasks: an option, or one of Celery's own tasks, which ends a
/// chord or sends others on.
fn needs_more(call: &Call) -> Option<String> {
    if call.task.starts_with("celery.") {
        return Some("a task of Celery's own".to_owned());
    }
    let mut given = call.options.iter().filter(|(_, value)| !value.is_null());
    let found = given.find(|(name, _)| !HARMLESS.contains(&name.as_str()));
    found.map(|(name, _)| format!("the option {name}"))
}

/// The message of a call.
fn message(call: Call, now: u64) -> Result<Outgoing, ApplyError> {
    let mut options = call.options;
    let given = options.get("task_id").and_then(Json::as_str);
    let id = given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    options.insert("task_id", id.as_str());
    let sender = Sender {
        id: &id,
        root_id: None,
        seed: &id,
        now,
        default_queue: "celery",
        origin: "async-service",
        trace: call.trace.as_ref(),
    };
    let signature = Json::object([
        ("task", Json::from(call.task)),
        ("args", call.args.into()),
        ("kwargs", call.kwargs.into()),
        ("options", options.into()),
    ]);
    let sent = apply(&sender, signature, &[])?;
    sent.messages.into_iter().next().ok_or(UNREADABLE)
}
