//! An attempt's writes, under its lease.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::value::RawValue;

use super::chunks::CALLS_OFFSET;
use super::end::{RunEnd, SetsOff, TaskFailure};
use super::names::*;
use super::update::Update;
use super::{
    Lease, MAX_ERROR, MAX_HISTORY, MAX_MODULE, MAX_PAST_ERROR, MAX_TRACEBACK, TaskStore, chunks,
    millis,
};
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

/// The outcome of a report of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// The record has the progress.
    Written,
    /// The attempt has ended, or is to be cancelled.
    Ended,
    /// There is no such task.
    Unknown,
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

    /// Writes the progress of an attempt, given by the numbers of its run and of the attempt, without its
    /// lease: the body reports its progress itself.
    pub async fn report(
        &self,
        id: &TaskId,
        (run, attempt): (u32, u32),
        progress: &Progress,
    ) -> Result<Reported, StoreError> {
        let report = self
            .event(id, Event::Extend)
            .when_is(RUN, number(run))
            .when_is(ATTEMPTS, number(attempt))
            .when_none(CANCEL_REQUESTED_AT)
            .set(PROGRESS, progress_value(progress));
        Ok(match report.send().await? {
            Ok(()) => Reported::Written,
            Err(row) if row.is_empty() => Reported::Unknown,
            Err(_) => Reported::Ended,
        })
    }

    /// Ends a task with its result, as JSON text. What is large is stored before the record is written, in
    /// chunks under this lease's own keys.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a result or calls over [`super::MAX_RESULT`], and
    /// [`StoreError::NotTogether`] if the end can only be written without its put.
    pub async fn complete_with(
        &self,
        held: &Lease,
        result: &str,
        end: RunEnd<'_>,
    ) -> Result<Fenced, StoreError> {
        let complete = self
            .end_task(held, Event::Complete, "completed", end.at)
            .when_none(CANCEL_REQUESTED_AT);
        let complete = match chunks::fits_record(result) {
            true => complete.set(RESULT, text(result)),
            false => {
                let put = self.put_given(held, 0, result, Duration::ZERO);
                let (first, count) = put.await?;
                complete
                    .set(RESULT_CHUNKS, number(count))
                    .set(RESULT_PART, number(first))
            }
        };
        self.write_end(held, without_error(held, complete), end)
            .await
    }

    /// Ends a run whose task goes on in another message.
    ///
    /// # Errors
    /// As [`TaskStore::complete_with`].
    pub async fn move_on(&self, held: &Lease, end: RunEnd<'_>) -> Result<Fenced, StoreError> {
        let moved = self
            .end_task(held, Event::Move, "moved", end.at)
            .when_none(CANCEL_REQUESTED_AT);
        self.write_end(held, without_error(held, moved), end).await
    }

    /// Adds the calls of a run's end.
    async fn with_calls(
        &self,
        held: &Lease,
        update: Update,
        calls: &RawValue,
    ) -> Result<Update, StoreError> {
        let calls = calls.get();
        if chunks::fits_record(calls) {
            return Ok(update.set(CALLS, text(calls)));
        }
        let put = self.put_given(held, CALLS_OFFSET, calls, Duration::ZERO);
        let (first, count) = put.await?;
        Ok(update
            .set(CALLS_CHUNKS, number(count))
            .set(CALLS_PART, number(first)))
    }

    /// Records that an attempt failed, and ends the task if no attempt follows.
    ///
    /// # Errors
    /// As [`TaskStore::complete_with`].
    pub async fn fail(&self, held: &Lease, failure: TaskFailure<'_>) -> Result<Fenced, StoreError> {
        let error = failure.error;
        let update = match failure.retry_in {
            None => self.failing(held, failure),
            Some(delay) => self.retrying(held, failure, delay).await?,
        };
        let update = update.when_none(CANCEL_REQUESTED_AT);
        let update = match held.keeps_entry() || failure.retry_in.is_none() {
            true => update
                .set_history(held.entry, ERROR_KIND, text(&error.kind))
                .set_history(
                    held.entry,
                    ERROR_MESSAGE,
                    text(cut(&error.message, MAX_PAST_ERROR)),
                ),
            false => update,
        };
        let update = with_error(update, error, held.has_error);
        match failure.retry_in {
            None => self.write_end(held, update, failure.end).await,
            Some(_) => self.write(held, update).await,
        }
    }

    fn failing(&self, held: &Lease, failure: TaskFailure<'_>) -> Update {
        let update = self.end_task(held, Event::Fail, "failed", failure.end.at);
        match failure.is_rejected {
            true => update.set(REJECTED, AttributeValue::Bool(true)),
            false => update,
        }
    }

    async fn retrying(
        &self,
        held: &Lease,
        failure: TaskFailure<'_>,
        delay: Duration,
    ) -> Result<Update, StoreError> {
        let update = match held.keeps_entry() {
            true => self.end_attempt(held, Event::Retry, "failed", now_ms()),
            false => self.fenced(held, Event::Retry).remove_history(held.entry),
        };
        let update = update.set(NEXT_AT, number(now_ms() + millis(delay)));
        let update = match failure.is_counted {
            true => update,
            false => update.add(CONTINUATIONS, 1),
        };
        match failure.next {
            Some(next) => self.with_next_attempt(held, update, next, delay).await,
            None => Ok(update),
        }
    }

    /// As if the attempt had not begun: there was no capacity for it, and the next attempt has its number.
    pub async fn wait(
        &self,
        held: &Lease,
        error: &TaskError,
        delay: Duration,
    ) -> Result<Fenced, StoreError> {
        let wait = self
            .fenced(held, Event::Retry)
            .when_none(CANCEL_REQUESTED_AT)
            .set(NEXT_AT, number(now_ms() + millis(delay)))
            .remove_history(held.entry)
            .add(ATTEMPTS, -1);
        let wait = with_error(wait, error, held.has_error);
        self.write(held, wait).await
    }

    /// Hands a task back because the worker's time is over. The attempt has saved checkpoints, so it
    /// does not count against the retry limit.
    pub async fn hand_back(&self, held: &Lease) -> Result<Fenced, StoreError> {
        let back = self
            .end_attempt(held, Event::HandBack, "continued", now_ms())
            .when_none(CANCEL_REQUESTED_AT)
            .add(CONTINUATIONS, 1);
        self.write(held, back).await
    }

    /// Ends a cancelled task after its job has stopped, at this time.
    pub async fn stop_at(&self, held: &Lease, at: u64) -> Result<Fenced, StoreError> {
        let stop = self.end_task(held, Event::Stop, "cancelled", at);
        self.write(held, stop).await
    }

    /// Ends a cancelled task whose worker died. `false` if the task is not in that situation any more.
    pub(super) async fn stop_orphan(&self, id: &TaskId, now: u64) -> Result<bool, StoreError> {
        let stop = self
            .event(id, Event::Stop)
            .when_free(now)
            .when_some(CANCEL_REQUESTED_AT);
        Ok(self.with_end(stop, now).send().await?.is_ok())
    }

    /// An update under a lease.
    fn fenced(&self, held: &Lease, event: Event) -> Update {
        self.event(&held.id, event)
            .when_is(LEASE_TOKEN, text(&held.token))
    }

    /// The end of an attempt.
    fn end_attempt(&self, held: &Lease, event: Event, outcome: &str, at: u64) -> Update {
        self.fenced(held, event)
            .set_history(held.entry, "ended_at", number(at))
            .set_history(held.entry, "outcome", text(outcome))
    }

    /// The end of an attempt and of its task.
    fn end_task(&self, held: &Lease, event: Event, outcome: &str, at: u64) -> Update {
        self.with_end(self.end_attempt(held, event, outcome, at), at)
    }

    /// The times of a task's end at the time `at`.
    pub(super) fn with_end(&self, update: Update, at: u64) -> Update {
        update
            .set(FINISHED_AT, number(at))
            .set(EXPIRES_AT, number(at / 1000 + self.retention.as_secs()))
    }

    /// Sends an update under a lease that ends the run.
    async fn write_end(
        &self,
        held: &Lease,
        update: Update,
        end: RunEnd<'_>,
    ) -> Result<Fenced, StoreError> {
        let done = |update: Update| update.set(EFFECTS_DONE, number(held.run));
        match end.sets_off {
            SetsOff::Origin => self.write(held, update).await,
            SetsOff::Calls(calls) => {
                let update = self.with_calls(held, update, calls).await?;
                self.write(held, update).await
            }
            SetsOff::Nothing => self.write(held, done(update)).await,
            SetsOff::Put(put) => {
                let event = update.written_event();
                let written = done(update).send_with(put).await?;
                Ok(outcome(held, event, written))
            }
        }
    }

    /// Sends an update under a lease. A refusing row with the same token and the event's target state
    /// means that an earlier try wrote the update and only its answer was lost.
    async fn write(&self, held: &Lease, update: Update) -> Result<Fenced, StoreError> {
        let event = update.written_event();
        let written = update.send().await?;
        Ok(outcome(held, event, written))
    }
}

fn outcome(held: &Lease, event: Event, written: Result<(), Row>) -> Fenced {
    // Under a lease, an event that keeps the state keeps the task running.
    let to = event.target().unwrap_or(State::Running);
    match written {
        Ok(()) => Fenced::Written,
        Err(row) => refusal(held, &row, to),
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

impl Lease {
    /// Whether the history keeps the attempt when another attempt follows.
    fn keeps_entry(&self) -> bool {
        self.entry < MAX_HISTORY
    }
}

/// Sets the error of a record; `has_error` if the record may have an error already.
pub(super) fn with_error(update: Update, error: &TaskError, has_error: bool) -> Update {
    let update = update
        .set(ERROR_KIND, text(&error.kind))
        .set(ERROR_MESSAGE, text(cut(&error.message, MAX_ERROR)));
    let module = error.module.as_deref();
    let module = module.map(|module| cut(module, MAX_MODULE));
    let traceback = error.traceback.as_deref().map(last_of);
    let parts = [(ERROR_TRACEBACK, traceback), (ERROR_MODULE, module)];
    parts
        .into_iter()
        .fold(update, |update, (name, part)| match part {
            Some(part) => update.set(name, text(part)),
            None if has_error => update.remove(name),
            None => update,
        })
}

/// Removes the error of an earlier attempt.
fn without_error(held: &Lease, update: Update) -> Update {
    let names = [ERROR_KIND, ERROR_MESSAGE, ERROR_TRACEBACK, ERROR_MODULE];
    match held.has_error {
        true => names.into_iter().fold(update, Update::remove),
        false => update,
    }
}

/// The end of a traceback, where the error is, with the sign of an omission.
fn last_of(traceback: &str) -> String {
    match traceback.char_indices().rev().nth(MAX_TRACEBACK - 1) {
        Some((from, _)) if from > 0 => format!("…{}", &traceback[from..]),
        _ => traceback.to_owned(),
    }
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
