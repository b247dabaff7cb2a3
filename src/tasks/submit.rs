//! Accepting a task.

use std::time::Duration;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::http::{FieldError, HttpError};
use crate::ids::now_ms;
use crate::json::Json;
use crate::metrics;
use crate::queue::{MAX_DELAY, QueueError, TaskQueue};
use crate::schedule::{Schedules, Targets};
use crate::store::tasks::{MAX_INPUT, Restarted, StoredInput, Submitted};
use crate::store::{StoreError, TaskStore};
use crate::tasks::request::IDEMPOTENCY_KEY;
use crate::tasks::task::Task;

/// Takes tasks.
#[derive(Debug, Clone)]
pub struct Submitter {
    queue: TaskQueue,
    tasks: TaskStore,
    schedules: Option<(Schedules, Targets)>,
}

/// The largest input that travels in the message as well as it is stored: SQS counts a message of
/// more than 64 KB as several.
const CARRIED_INPUT: usize = 60 * 1024;

/// Why a task was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Its input is larger than can be stored.
    #[error("the input is too large")]
    TooLarge,
    /// Its idempotency key was used for something else.
    #[error("the idempotency key was used for something else")]
    Different,
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
        Submitter {
            queue,
            tasks,
            schedules: None,
        }
    }

    /// The same, with schedules for tasks that are not due for a while. Without, they wait in the
    /// queue.
    pub fn with_schedules(self, schedules: Option<(Schedules, Targets)>) -> Submitter {
        Submitter { schedules, ..self }
    }

    /// Accepts a task of `caller` with an id of its own, to be run at once, and gives the id.
    ///
    /// # Errors
    /// As [`Submitter::accept`].
    pub async fn submit(
        &self,
        job: &str,
        input: Box<RawValue>,
        caller: Option<&str>,
    ) -> Result<Uuid, SubmitError> {
        let mut task = Task::new(Uuid::new_v4(), job, input, now_ms());
        task.caller = caller.map(str::to_owned);
        let id = task.id;
        self.accept(task).await?;
        Ok(id)
    }

    /// Accepts a task.
    ///
    /// A large input is stored first, the message is sent then, and the record written last: a crash
    /// in between leaves chunks that vanish, or a task that runs, and never a record that waits for
    /// a message nobody sent. The worker writes the record when it is faster, which the put here
    /// takes as done.
    ///
    /// # Errors
    /// When it is too large, when its id is of a submission that asked for something else, and when
    /// queue or table do not answer; it may run all the same in that last case.
    pub async fn accept(&self, mut task: Task) -> Result<(), SubmitError> {
        let size = task.input().map_or(0, |input| input.get().len());
        if size > MAX_INPUT {
            return Err(SubmitError::TooLarge);
        }
        match self.tasks.put_input(&task).await? {
            StoredInput::Chunks(count) => task.input_chunks = count,
            StoredInput::Different => return Err(SubmitError::Different),
        }
        self.send(task).await
    }

    /// Runs a task again that ended without a result, under the same id.
    ///
    /// # Errors
    /// As [`Submitter::accept`].
    pub async fn run_again(&self, task: Task) -> Result<Restarted, SubmitError> {
        self.tasks.keep_input(&task).await?;
        self.queue.send(&task, Duration::ZERO).await?;
        let restarted = self.tasks.restart(&task).await?;
        if matches!(restarted, Restarted::Written) {
            metrics::submitted(&task.job);
        }
        Ok(restarted)
    }

    async fn send(&self, mut task: Task) -> Result<(), SubmitError> {
        let carried = task.input().map_or(0, |input| input.get().len());
        if carried > CARRIED_INPUT && task.input_chunks > 0 {
            let chunks = task.input_chunks;
            task.without_input(chunks);
        }
        let wait = task.options.wait(now_ms()).unwrap_or_default();
        match (&self.schedules, task.options.eta) {
            (Some((schedules, targets)), Some(eta)) if wait > MAX_DELAY => {
                schedules.create(&task, eta, targets).await?;
            }
            _ => self.queue.send(&task, wait).await?,
        }
        match self.tasks.submitted(&task).await? {
            Submitted::Recorded => {
                metrics::submitted(&task.job);
                Ok(())
            }
            Submitted::Different => Err(SubmitError::Different),
        }
    }
}

impl From<SubmitError> for HttpError {
    fn from(error: SubmitError) -> HttpError {
        match error {
            SubmitError::TooLarge | SubmitError::Queue(QueueError::TooLarge { .. }) => {
                let most = MAX_INPUT / (1024 * 1024);
                HttpError::too_large(format!("The input is larger than {most} MB"))
            }
            SubmitError::Different => {
                let loc = ["header".into(), IDEMPOTENCY_KEY.into()];
                let msg = "Value error, the key was used for a different request";
                let error = FieldError::new("value_error", loc, msg, Json::Null);
                HttpError::invalid(vec![error])
            }
            SubmitError::Queue(error) => HttpError::unavailable(error),
            SubmitError::Store(error) => HttpError::unavailable(error),
        }
    }
}
