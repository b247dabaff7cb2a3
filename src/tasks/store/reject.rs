//! Failing a task whose message nobody can work on.

use std::time::Duration;

use uuid::Uuid;

use super::attempt::with_error;
use super::claim::{ClaimOutcome, met};
use super::names::*;
use super::update::Update;
use super::{TaskStore, list, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, Row, number};
use crate::tasks::record::TaskError;
use crate::tasks::state::{Event, State};
use crate::tasks::task::Task;

/// What became of a task whose message nobody can work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It has failed, now or by an earlier try of the same call.
    Written,
    /// It has ended, or is in a later run than the message: the message is of no use, and no loss.
    Ended,
    /// Another worker holds it.
    Held {
        /// When that lease ends if it is not extended.
        ends_in: Duration,
    },
}

impl TaskStore {
    /// Fails a task whose message can be read, but not be worked on. Its record keeps the input, so
    /// that it can be run again.
    pub async fn reject(&self, task: &Task, error: &TaskError) -> Result<Rejected, StoreError> {
        // As for a claim, each round ends what no other brings back.
        for _ in 0..3 {
            let now = now_ms();
            let reject = self
                .rejecting(task.id, error, now)
                .when_is(RUN, number(task.run))
                .when_of(task)
                .describe(task);
            let Err(row) = reject.send().await? else {
                return Ok(Rejected::Written);
            };
            let met = met(task, &row, "", now)?;
            match self.clear(task, met, &row, now).await? {
                Some(ClaimOutcome::Held { ends_in }) => return Ok(Rejected::Held { ends_in }),
                Some(_) => return ended(&row, error),
                None => {}
            }
        }
        Err(StoreError::Busy)
    }

    /// Fails the task of which only the id could be read from a message. A record that begins so
    /// has neither job nor input.
    pub async fn reject_id(&self, id: Uuid, error: &TaskError) -> Result<Rejected, StoreError> {
        let now = now_ms();
        let reject = self
            .rejecting(id, error, now)
            .set_once(CREATED_AT, number(now))
            .set_once(LIST_SHARD, number(list::shard(id)))
            .set_once(LIST_KEY, list::list_key(id, now))
            .set_once(RUN, number(1));
        let Err(row) = reject.send().await? else {
            return Ok(Rejected::Written);
        };
        if state(&row)? != State::Running {
            return ended(&row, error);
        }
        let until: u64 = row::find_number(&row, LEASE_UNTIL)?.unwrap_or(0);
        if until < now && self.stop_orphan(id, now).await? {
            return Ok(Rejected::Ended);
        }
        let ends_in = Duration::from_millis(until.saturating_sub(now));
        Ok(Rejected::Held { ends_in })
    }

    fn rejecting(&self, id: Uuid, error: &TaskError, now: u64) -> Update {
        let reject = self
            .event(id, Event::Reject)
            .when_free(now)
            // Whoever was told that it will be cancelled is not to find it failed.
            .when_none(CANCEL_REQUESTED_AT)
            .set_once(ATTEMPTS, number(0))
            .remove(NEXT_AT);
        with_error(self.with_end(reject), error)
    }
}

/// Whether the end that a rejection met is its own.
fn ended(row: &Row, error: &TaskError) -> Result<Rejected, StoreError> {
    let failed = state(row)? == State::Failed;
    let same = row::find_text(row, ERROR_KIND).as_deref() == Some(&error.kind);
    Ok(match failed && same {
        true => Rejected::Written,
        false => Rejected::Ended,
    })
}
