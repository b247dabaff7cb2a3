//! Rejections: failing a task whose message cannot be processed.

use std::time::Duration;

use super::attempt::with_error;
use super::claim::{ClaimOutcome, obstacle};
use super::names::*;
use super::update::Update;
use super::{TaskStore, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, Row, number};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskError;
use crate::tasks::state::{Event, State};
use crate::tasks::task::Task;

/// The outcome of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// The task has failed now.
    Written,
    /// The task had failed for the same reason, by an earlier delivery or an earlier try of the same call.
    Repeated,
    /// The task has ended, or is in a later run than the message: the message is not needed.
    Ended,
    /// A worker holds the task.
    Held {
        /// The time to the end of that worker's lease.
        ends_in: Duration,
    },
}

impl TaskStore {
    /// Fails a task whose message is readable but cannot be processed. The record keeps the input, so
    /// the task can run again.
    pub async fn reject(&self, task: &Task, error: &TaskError) -> Result<Rejected, StoreError> {
        // As for a claim, each round removes an obstacle that does not come back.
        for _ in 0..3 {
            let now = now_ms();
            let reject = self
                .rejecting(&task.id, error, now)
                .when_is(RUN, number(task.run))
                .when_same_submission(task)
                .describe(task);
            let Err(row) = reject.send().await? else {
                return Ok(Rejected::Written);
            };
            let obstacle = obstacle(task, &row, "", now)?;
            match self.remove_obstacle(task, obstacle, &row, now).await? {
                Some(ClaimOutcome::Held { ends_in }) => return Ok(Rejected::Held { ends_in }),
                Some(_) => return rejected_or_ended(&row, error),
                None => {}
            }
        }
        Err(StoreError::Busy)
    }

    /// Fails a task of whose message only the id is readable. A record that this write creates has
    /// neither job nor input.
    pub async fn reject_id(&self, id: &TaskId, error: &TaskError) -> Result<Rejected, StoreError> {
        let now = now_ms();
        let reject = self.rejecting(id, error, now).describe_id(id, now);
        let Err(row) = reject.send().await? else {
            return Ok(Rejected::Written);
        };
        if state(&row)? != State::Running {
            return rejected_or_ended(&row, error);
        }
        let until: u64 = row::find_number(&row, LEASE_UNTIL)?.unwrap_or(0);
        if until < now && self.stop_orphan(id, now).await? {
            return Ok(Rejected::Ended);
        }
        let ends_in = Duration::from_millis(until.saturating_sub(now));
        Ok(Rejected::Held { ends_in })
    }

    fn rejecting(&self, id: &TaskId, error: &TaskError, now: u64) -> Update {
        let reject = self
            .event(id, Event::Reject)
            .when_free(now)
            // An accepted cancellation ends as cancelled, never as failed.
            .when_none(CANCEL_REQUESTED_AT)
            .set_once(ATTEMPTS, number(0))
            .remove(NEXT_AT);
        with_error(self.with_end(reject), error, true)
    }
}

/// Tells an earlier write of the same rejection from another end of the task.
fn rejected_or_ended(row: &Row, error: &TaskError) -> Result<Rejected, StoreError> {
    let failed = state(row)? == State::Failed;
    let same = row::find_text(row, ERROR_KIND).as_deref() == Some(&error.kind);
    Ok(match failed && same {
        true => Rejected::Repeated,
        false => Rejected::Ended,
    })
}
