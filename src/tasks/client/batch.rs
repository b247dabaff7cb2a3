//! Submitting many tasks by few calls.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::submit::{Accepted, MAX_CARRIED_INPUT, SubmitError, Submitter};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::id::TaskId;
use crate::tasks::queue::{MAX_SQS_DELAY, QueueError};
use crate::tasks::record::TaskRecord;
use crate::tasks::task::Task;

/// The most calls to the table at a time.
const AT_ONCE: usize = 64;
/// The most calls to EventBridge Scheduler at a time.
const DELAYS_AT_ONCE: usize = 16;

/// The outcome of each task of a batch, by its place; `None` while the task is under way.
struct Outcomes(Vec<Option<Result<Accepted, SubmitError>>>);

impl Outcomes {
    /// The value, or `None`. The error is the outcome of the task at this place.
    fn keep<T>(&mut self, at: usize, result: Result<T, SubmitError>) -> Option<T> {
        result.map_err(|error| self.set(at, Err(error))).ok()
    }

    fn set(&mut self, at: usize, outcome: Result<Accepted, SubmitError>) {
        if let Some(place) = self.0.get_mut(at) {
            *place = Some(outcome);
        }
    }
}

/// A task with its place in the batch.
type Placed = (usize, Task);

impl Submitter {
    /// Submits tasks, and returns the outcome of each in order, as if [`Submitter::submit`] were called for one
    /// after the other. A repeated call is harmless, but a task without an idempotency key and with another id
    /// is another task. Without one-time schedules, a message waits at most SQS' longest delay, and the worker
    /// delays it for the rest.
    ///
    /// The steps are those of [`Submitter::submit`], each for all tasks at once: ten messages are one call.
    pub async fn submit_all(&self, tasks: Vec<Task>) -> Vec<Result<Accepted, SubmitError>> {
        // Of several tasks with one id the first is submitted before the others, and the others find it.
        let mut seen = HashSet::new();
        let are_first: Vec<bool> = tasks
            .iter()
            .map(|task| seen.insert(task.id.clone()))
            .collect();
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for (task, is_first) in tasks.into_iter().zip(&are_first) {
            match is_first {
                true => first.push(task),
                false => again.push(task),
            }
        }
        let mut first = self.submit_at_once(first).await.into_iter();
        let mut again = self.submit_at_once(again).await.into_iter();
        let next = |is_first| match is_first {
            true => first.next(),
            false => again.next(),
        };
        are_first.into_iter().filter_map(next).collect()
    }

    /// Submits tasks, each step for all tasks at once.
    async fn submit_at_once(&self, tasks: Vec<Task>) -> Vec<Result<Accepted, SubmitError>> {
        let mut outcomes = Outcomes(tasks.iter().map(|_| None).collect());
        let new = self.without_earlier(tasks, &mut outcomes).await;
        let stored = self.store_inputs(new, &mut outcomes).await;
        let sent = self.send_placed(stored, &mut outcomes).await;
        let recorded = sent.into_iter().map(|(at, task)| async move {
            let recorded = self.record(&task).await;
            (at, recorded.map(|()| Accepted::of(&task)))
        });
        let mut recorded = stream::iter(recorded).buffer_unordered(AT_ONCE);
        while let Some((at, outcome)) = recorded.next().await {
            outcomes.set(at, outcome);
        }
        outcomes.0.into_iter().flatten().collect()
    }

    /// The tasks that are new. A task that was submitted before, with the same idempotency key, has its outcome.
    async fn without_earlier(&self, tasks: Vec<Task>, outcomes: &mut Outcomes) -> Vec<Placed> {
        let keyed = tasks.iter().filter(|task| task.fingerprint.is_some());
        let ids: HashSet<TaskId> = keyed.map(|task| task.id.clone()).collect();
        let earlier = self.earlier_records(ids).await;
        let mut new = Vec::with_capacity(tasks.len());
        for (at, task) in tasks.into_iter().enumerate() {
            let found = match &earlier {
                _ if task.fingerprint.is_none() => Ok(None),
                Ok(records) => Ok(records.get(&task.id)),
                // An error cannot be copied, only its text.
                Err(error) => Err(StoreError::Call(Chain(error).to_string().into())),
            };
            match outcomes.keep(at, found.map_err(SubmitError::Store)) {
                None => {}
                Some(None) => new.push((at, task)),
                Some(Some(record)) => outcomes.set(at, earlier_outcome(task, record)),
            }
        }
        new
    }

    async fn earlier_records(
        &self,
        ids: HashSet<TaskId>,
    ) -> Result<HashMap<TaskId, TaskRecord>, StoreError> {
        match ids.is_empty() {
            true => Ok(HashMap::new()),
            false => self.tasks.records(&Vec::from_iter(ids)).await,
        }
    }

    /// Stores the inputs that are too large for the records. Returns the tasks as their messages carry them.
    async fn store_inputs(&self, tasks: Vec<Placed>, outcomes: &mut Outcomes) -> Vec<Placed> {
        let stored = tasks.into_iter().map(|(at, mut task)| async move {
            let stored = self.put_large(&mut task).await;
            task.without_stored_over(MAX_CARRIED_INPUT);
            (at, stored.map(|()| task))
        });
        let stored: Vec<_> = stream::iter(stored).buffered(AT_ONCE).collect().await;
        let stored = stored.into_iter();
        stored
            .filter_map(|(at, task)| Some((at, outcomes.keep(at, task)?)))
            .collect()
    }

    /// Sends the messages, or creates the one-time schedules that send them. Returns the tasks whose messages are
    /// sent.
    async fn send_placed(&self, tasks: Vec<Placed>, outcomes: &mut Outcomes) -> Vec<Placed> {
        let now = now_ms();
        let wait = |task: &Task| task.options.delay(now);
        let has_delays = self.delays.is_some();
        let (late, soon): (Vec<_>, Vec<_>) = tasks
            .into_iter()
            .partition(|(_, task)| has_delays && wait(task) > MAX_SQS_DELAY);
        let ready: Vec<(&Task, Duration)> =
            soon.iter().map(|(_, task)| (task, wait(task))).collect();
        let mut sent = self.queue.send_all(&ready).await;
        let delayed = late.iter().map(|(_, task)| self.delay(task));
        let delayed = stream::iter(delayed).buffered(DELAYS_AT_ONCE);
        sent.extend(delayed.collect::<Vec<_>>().await);
        let tasks = soon.into_iter().chain(late).zip(sent);
        tasks
            .filter_map(|((at, task), sent)| {
                outcomes.keep(at, sent.map_err(SubmitError::Queue))?;
                Some((at, task))
            })
            .collect()
    }

    /// Creates the one-time schedule of a task.
    async fn delay(&self, task: &Task) -> Result<(), QueueError> {
        match (&self.delays, task.options.eta) {
            (Some((delays, targets)), Some(eta)) => delays.create(task, eta, targets).await,
            _ => Ok(()),
        }
    }
}

/// The outcome of a task whose idempotency key has a record.
fn earlier_outcome(task: Task, record: &TaskRecord) -> Result<Accepted, SubmitError> {
    if record.fingerprint != task.fingerprint {
        return Err(SubmitError::Different);
    }
    Ok(Accepted {
        id: task.id,
        job: task.job,
        eta: record.options.eta,
    })
}

#[cfg(test)]
mod tests;
