//! `change_tasks`: cancels or retries all tasks that fit a filter, however many there are.
//!
//! The task acts for the viewer in its input, so callers must not write such an input: a keyed hash seals the
//! input for one task, and the job is not in the list of jobs that callers may submit. A name pattern of
//! remote jobs may let a submission of this name in; such a task fails for its seal.

use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::Chain;
use crate::tasks::client::{Bulk, BulkClient, Counts};
use crate::tasks::context::TaskContext;
use crate::tasks::id::TaskId;
use crate::tasks::job::{Job, JobError};
use crate::tasks::store::TaskPosition;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// What the key of the seals is derived from beside the secret.
const PURPOSE: &[u8] = b"changes of many tasks";
/// The most tasks between two checkpoints. A step that is repeated after a crash counts only what it changes
/// itself.
const STEP: usize = if cfg!(test) { 20 } else { 250 };
/// The number of the one checkpoint, which each step replaces.
const CHECKPOINT: u32 = 0;

/// Cancels or retries all tasks that fit a filter.
pub struct ChangeTasks {
    client: BulkClient,
    seal: BulkSeal,
}

/// Seals the inputs of this job.
#[derive(Debug, Clone)]
pub struct BulkSeal(hmac::Key);

/// An action, and the viewer that it acts for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    order: Order,
    /// The keyed hash of the order and of the task's id, in hexadecimal digits.
    seal: String,
}

/// What is sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    bulk: Bulk,
    /// The caller whose tasks alone are changed; `None` for the tasks of all callers.
    only: Option<String>,
    /// The position behind which the action begins.
    after: Option<String>,
}

/// The numbers of tasks.
#[derive(Debug, Serialize)]
pub struct Output {
    dry_run: bool,
    #[serde(flatten)]
    counts: Counts,
}

/// How far the task has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Checkpoint {
    after: String,
    counts: Counts,
}

impl BulkSeal {
    /// Seals that only holders of `secret` can make.
    pub fn new(secret: &str) -> BulkSeal {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key = hmac::sign(&secret, PURPOSE);
        BulkSeal(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    /// A task that performs `bulk` for `viewer`, beginning behind `after`. It is submitted by `caller` at the
    /// time `now`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// None in practice: the input can be written as JSON.
    pub fn task(
        &self,
        bulk: Bulk,
        viewer: &Viewer,
        after: Option<TaskPosition>,
        caller: Option<&str>,
        now: u64,
    ) -> serde_json::Result<Task> {
        let id = TaskId::from(Uuid::new_v4());
        let order = Order {
            bulk,
            only: viewer.only().map(str::to_owned),
            after: after.map(|TaskPosition(position)| position),
        };
        let seal = hmac::sign(&self.0, &sealed(&id, &order)?);
        let seal = hex::encode(seal);
        let input = serde_json::to_string(&Input { order, seal })?;
        let mut task = Task::new(id, ChangeTasks::NAME, RawValue::from_string(input)?, now);
        task.caller = caller.map(str::to_owned);
        Ok(task)
    }

    /// Whether the input is that of the task `id`.
    fn fits(&self, id: &TaskId, input: &Input) -> bool {
        let (Ok(seal), Ok(sealed)) = (hex::decode(&input.seal), sealed(id, &input.order)) else {
            return false;
        };
        hmac::verify(&self.0, &sealed, &seal).is_ok()
    }
}

/// The bytes that a seal is made of.
fn sealed(id: &TaskId, order: &Order) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&(id, order))
}

impl ChangeTasks {
    /// Changes tasks by `client`, as inputs with a seal of `seal` say.
    pub fn new(client: BulkClient, seal: BulkSeal) -> ChangeTasks {
        ChangeTasks { client, seal }
    }
}

impl Job for ChangeTasks {
    const NAME: &'static str = "change_tasks";
    const CALLS_AWS: bool = true;
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input, context: &TaskContext) -> Result<Output, JobError> {
        if !self.seal.fits(&context.id, &input) {
            let message = "only POST /tasks/cancel and POST /tasks/retry submit this job";
            return Err(JobError::permanent("Forbidden", message));
        }
        let Order { bulk, only, after } = input.order;
        let viewer = only.map_or(Viewer::Everyone, Viewer::Caller);
        let saved = context.saved::<Checkpoint>()?.pop();
        let (mut after, mut counts) = match saved {
            Some((_, saved)) => (Some(saved.after), saved.counts),
            None => (after, Counts::default()),
        };
        loop {
            let position = after.take().map(TaskPosition);
            let step = self
                .client
                .step(&viewer, &bulk, STEP, position, Some(&context.id));
            let step = step.await.map_err(|error| {
                tracing::warn!(task_id = %context.id, error = %Chain(&error), "a step failed");
                JobError::transient("StoreFailed", "the table did not answer")
            })?;
            counts.add(step.counts);
            context.progress(counts.matched, None, "");
            let Some(TaskPosition(next)) = step.next else {
                break;
            };
            let checkpoint = Checkpoint {
                after: next,
                counts,
            };
            context.save(CHECKPOINT, &checkpoint).await?;
            after = Some(checkpoint.after);
        }
        Ok(Output {
            dry_run: bulk.dry_run,
            counts,
        })
    }
}

#[cfg(test)]
mod tests;
