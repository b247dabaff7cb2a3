//! An attempt's writes, under its lease.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::names::*;
use super::update::Update;
use super::{Lease, MAX_ERROR, MAX_PAST_ERROR, TaskStore, chunks, millis};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, EXPIRES_AT, Row, number, text};
use crate::tasks::id::TaskId;
use crate::tasks::record::{Progress, TaskError};
use crate::tasks::state::{Event, State};

/// The outcome of a write under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// Written, now or by an earlier try of the same write.
    Written,
    /// Not written: the caller cancelled the task, and the attempt must stop.
    Cancelled,
    /// Not written: another worker holds the lease, or the task has ended.
    Lost,
}

/// The failure of an attempt, and the time of the next attempt.
#[derive(Debug, Clone, Copy)]
pub struct TaskFailure<'a> {
    /// Why the attempt failed.
    pub error: &'a TaskError,
    /// The time from now to the next attempt; `None` if no attempt follows.
    pub retry_in: Option<Duration>,
}

impl TaskStore {
    /// Extends a lease to `lease` from now, and writes the attempt's progress.
    pub async fn extend(
        &self,
        held: &Lease,
        lease: Duration,
        progress: Option<&Progress>,
    ) -> Result<Fenced, StoreError> {
        let extend = self
            .fenced(held, Event::Extend)
            .when_none(CANCEL_REQUESTED_AT)
            .set(LEASE_UNTIL, number(now_ms() + millis(lease)));
        let extend = match progress {
            Some(progress) => extend.set(PROGRESS, progress_value(progress)),
            None => extend,
        };
        self.write(held, extend).await
    }

    /// Ends a task with its result, as JSON text. A large result is stored before the record is
    /// written, in chunks under this lease's own keys.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a result over [`super::MAX_RESULT`].
    pub async fn complete(&self, held: &Lease, result: &str) -> Result<Fenced, StoreError> {
        let complete = self
            .end_task(held, Event::Complete, "completed")
            .when_none(CANCEL_REQUESTED_AT)
            .remove(ERROR_KIND)
            .remove(ERROR_MESSAGE);
        let complete = match chunks::fits_record(result) {
            true => complete.set(RESULT, text(result)),
            false => {
                let (first, count) = self.put_result(held, result).await?;
                complete
                    .set(RESULT_CHUNKS, number(count))
                    .set(RESULT_PART, number(first))
            }
        };
        self.write(held, complete).await
    }

    /// Records that an attempt failed, and ends the task if no attempt follows.
    pub async fn fail(&self, held: &Lease, failure: TaskFailure<'_>) -> Result<Fenced, StoreError> {
        let update = match failure.retry_in {
            None => self.end_task(held, Event::Fail, "failed"),
            Some(delay) => self
                .end_attempt(held, Event::Retry, "failed")
                .set(NEXT_AT, number(now_ms() + millis(delay))),
        };
        let update = with_error(update.when_none(CANCEL_REQUESTED_AT), failure.error)
            .set_history(held.attempt, ERROR_KIND, text(&failure.error.kind))
            .set_history(
                held.attempt,
                ERROR_MESSAGE,
                text(cut(&failure.error.message, MAX_PAST_ERROR)),
            );
        self.write(held, update).await
    }

    /// Hands a task back because the worker's time is over. The attempt has saved checkpoints, so it
    /// does not count against the retry limit.
    pub async fn hand_back(&self, held: &Lease) -> Result<Fenced, StoreError> {
        let back = self
            .end_attempt(held, Event::HandBack, "continued")
            .when_none(CANCEL_REQUESTED_AT)
            .add(CONTINUATIONS, 1);
        self.write(held, back).await
    }

    /// Ends a cancelled task after its job has stopped.
    pub async fn stop(&self, held: &Lease) -> Result<Fenced, StoreError> {
        let stop = self.end_task(held, Event::Stop, "cancelled");
        self.write(held, stop).await
    }

    /// Ends a cancelled task whose worker died. `false` if the task is not in that situation any more.
    pub(super) async fn stop_orphan(&self, id: &TaskId, now: u64) -> Result<bool, StoreError> {
        let stop = self
            .event(id, Event::Stop)
            .when_free(now)
            .when_some(CANCEL_REQUESTED_AT);
        Ok(self.with_end(stop).send().await?.is_ok())
    }

    /// An update under a lease.
    fn fenced(&self, held: &Lease, event: Event) -> Update {
        self.event(&held.id, event)
            .when_is(LEASE_TOKEN, text(&held.token))
    }

    /// The end of an attempt.
    fn end_attempt(&self, held: &Lease, event: Event, outcome: &str) -> Update {
        self.fenced(held, event)
            .set_history(held.attempt, "ended_at", number(now_ms()))
            .set_history(held.attempt, "outcome", text(outcome))
    }

    /// The end of an attempt and of its task.
    fn end_task(&self, held: &Lease, event: Event, outcome: &str) -> Update {
        self.with_end(self.end_attempt(held, event, outcome))
    }

    /// The times of a task's end.
    pub(super) fn with_end(&self, update: Update) -> Update {
        let now = now_ms();
        update
            .set(FINISHED_AT, number(now))
            .set(EXPIRES_AT, number(now / 1000 + self.retention.as_secs()))
    }

    /// Sends an update under a lease. A refusing row with the same token and the event's target state
    /// means that an earlier try wrote the update and only its answer was lost.
    async fn write(&self, held: &Lease, update: Update) -> Result<Fenced, StoreError> {
        let event = update.written_event();
        let Err(row) = update.send().await? else {
            return Ok(Fenced::Written);
        };
        // Under a lease, an event that keeps the state keeps the task running.
        let to = event.target().unwrap_or(State::Running);
        Ok(refusal(held, &row, to))
    }
}

fn refusal(held: &Lease, row: &Row, to: State) -> Fenced {
    if row::find_text(row, LEASE_TOKEN).as_deref() != Some(&held.token) {
        return Fenced::Lost;
    }
    let state = row::find_text(row, STATE);
    let is = |expected: State| state.as_deref() == Some(expected.as_str());
    if is(State::Running) && row.contains_key(CANCEL_REQUESTED_AT) {
        Fenced::Cancelled
    } else if is(to) {
        Fenced::Written
    } else {
        Fenced::Lost
    }
}

pub(super) fn with_error(update: Update, error: &TaskError) -> Update {
    update
        .set(ERROR_KIND, text(&error.kind))
        .set(ERROR_MESSAGE, text(cut(&error.message, MAX_ERROR)))
}

/// Progress, as an attribute of the record.
fn progress_value(progress: &Progress) -> AttributeValue {
    let mut map = Row::from([("done".to_owned(), number(progress.done))]);
    if let Some(total) = progress.total {
        map.insert("total".to_owned(), number(total));
    }
    if let Some(message) = &progress.message {
        map.insert("message".to_owned(), text(message));
    }
    AttributeValue::M(map)
}

/// The first `most` characters of a message.
fn cut(message: &str, most: usize) -> String {
    message.chars().take(most).collect()
}
