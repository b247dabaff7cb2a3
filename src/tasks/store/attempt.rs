//! What an attempt writes, under its lease.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;

use super::names::*;
use super::update::Update;
use super::{Lease, MAX_ERROR, MAX_PAST_ERROR, TaskStore, chunks, millis};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, EXPIRES_AT, Row, number, text};
use crate::tasks::record::{Progress, TaskError};
use crate::tasks::state::{Event, State};

/// What became of a write under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It is written, now or by an earlier try of the same write.
    Written,
    /// It is not: the task's caller cancelled it, and the attempt must stop.
    Cancelled,
    /// It is not: the lease is another worker's, or the task has ended.
    Lost,
}

/// How an attempt failed, and what follows.
#[derive(Debug, Clone, Copy)]
pub struct TaskFailure<'a> {
    /// Why it failed.
    pub error: &'a TaskError,
    /// When the next attempt is due, from now; `None` where there is none.
    pub retry_in: Option<Duration>,
}

impl TaskStore {
    /// Extends a lease to `lease` from now, and tells how far the attempt is.
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

    /// Ends a task with its result, as JSON text. What does not fit in the record is stored before
    /// it, in chunks that are this attempt's own.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a result over [`super::MAX_RESULT`].
    pub async fn complete(&self, held: &Lease, result: &str) -> Result<Fenced, StoreError> {
        let complete = self
            .ending(held, Event::Complete, "completed")
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

    /// Records that an attempt failed: for good, or with another one to come.
    pub async fn fail(&self, held: &Lease, failure: TaskFailure<'_>) -> Result<Fenced, StoreError> {
        let update = match failure.retry_in {
            None => self.ending(held, Event::Fail, "failed"),
            Some(delay) => self
                .leaving(held, Event::Retry, "failed")
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

    /// Gives a task back because the worker's time is over. It has saved how far it came, so the
    /// attempt does not count against those that are allowed.
    pub async fn hand_back(&self, held: &Lease) -> Result<Fenced, StoreError> {
        let back = self
            .leaving(held, Event::HandBack, "continued")
            .when_none(CANCEL_REQUESTED_AT)
            .add(CONTINUATIONS, 1);
        self.write(held, back).await
    }

    /// Ends a task whose caller cancelled it, once its job has stopped.
    pub async fn stop(&self, held: &Lease) -> Result<Fenced, StoreError> {
        let stop = self.ending(held, Event::Stop, "cancelled");
        self.write(held, stop).await
    }

    /// Ends a task whose caller cancelled it and whose worker died. `false` where it is not so any
    /// more.
    pub(super) async fn stop_orphan(&self, id: uuid::Uuid, now: u64) -> Result<bool, StoreError> {
        let stop = self
            .event(id, Event::Stop)
            .when_free(now)
            .when_some(CANCEL_REQUESTED_AT);
        Ok(self.with_end(stop).send().await?.is_ok())
    }

    /// An update under a lease.
    fn fenced(&self, held: &Lease, event: Event) -> Update {
        self.event(held.id, event)
            .when_is(LEASE_TOKEN, text(&held.token))
    }

    /// The end of an attempt.
    fn leaving(&self, held: &Lease, event: Event, outcome: &str) -> Update {
        self.fenced(held, event)
            .set_history(held.attempt, "ended_at", number(now_ms()))
            .set_history(held.attempt, "outcome", text(outcome))
    }

    /// The end of an attempt and of its task.
    fn ending(&self, held: &Lease, event: Event, outcome: &str) -> Update {
        self.with_end(self.leaving(held, event, outcome))
    }

    /// The times of a task's end.
    pub(super) fn with_end(&self, update: Update) -> Update {
        let now = now_ms();
        update
            .set(FINISHED_AT, number(now))
            .set(EXPIRES_AT, number(now / 1000 + self.retention.as_secs()))
    }

    /// Sends an update under a lease. If a row refuses the update that has our token and the state of
    /// the event's target, then an earlier try has written it, and only the answer was lost.
    async fn write(&self, held: &Lease, update: Update) -> Result<Fenced, StoreError> {
        let event = update.written_event();
        let Err(row) = update.send().await? else {
            return Ok(Fenced::Written);
        };
        Ok(refusal(held, &row, event.target()))
    }
}

fn refusal(held: &Lease, row: &Row, to: State) -> Fenced {
    if row::find_text(row, LEASE_TOKEN).as_deref() != Some(&held.token) {
        return Fenced::Lost;
    }
    let state = row::find_text(row, STATE);
    let is = |state_: State| state.as_deref() == Some(state_.as_str());
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

/// The first so many characters.
fn cut(message: &str, most: usize) -> String {
    message.chars().take(most).collect()
}
