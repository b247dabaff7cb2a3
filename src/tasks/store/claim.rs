//! Claims: a worker takes a task for one attempt.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::chunks::Stored;
use super::effects::{Unfinished, unfinished};
use super::names::*;
use super::{TaskStore, millis, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, Row, number, text};
use crate::tasks::id::TaskId;
use crate::tasks::state::{Event, State, next};
use crate::tasks::task::Task;

/// The outcome of a claim.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// The claimer holds the task under this lease.
    Claimed(Lease),
    /// Another worker holds the task, or the next attempt is not due.
    Held {
        /// The time to the end of that worker's lease, or to the next attempt.
        ends_in: Duration,
    },
    /// The task has ended, or the message belongs to another run: there is nothing to do.
    Ended,
    /// The task has ended, and what its end sets off is not done.
    EffectsLeft(Box<Unfinished>),
}

/// One attempt's right to write to a task's record. Each write checks the fencing token, so a worker
/// that was taken for dead cannot overwrite its successor's writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The task.
    pub id: TaskId,
    /// The number of the run, from 1.
    pub(super) run: u32,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// The number of attempts up to this attempt that count against the retry limit. An attempt that
    /// saved checkpoints and ended with its invocation does not count, nor does an attempt whose body asked
    /// for another.
    pub counted: u32,
    /// When the first attempt of the run began, in milliseconds since the Unix epoch.
    pub began_at: u64,
    /// When the task was accepted, in milliseconds since the Unix epoch.
    pub(super) created_at: u64,
    /// The place of the attempt in the history.
    pub(super) entry: u32,
    /// Whether an earlier attempt has left its error in the record.
    pub(super) has_error: bool,
    /// What an earlier attempt has left for further attempts.
    pub(super) next: Option<Stored>,
    /// The fencing token.
    pub(super) token: String,
}

/// Why the row refused a claim, or another write for a message.
pub(super) enum Obstacle {
    /// Nothing to remove: the claim has this outcome.
    Outcome(ClaimOutcome),
    /// An earlier run that ended: the message begins the next run.
    EarlierRun,
    /// A cancelled task whose worker died before it could stop.
    Orphan,
    /// An expired row that DynamoDB has not deleted yet.
    Expired,
}

impl TaskStore {
    /// Takes a task for one attempt: counts the attempt, and sets a lease of this length. Creates the
    /// record if the submitter has not written it. `worker` is kept in the record for operators.
    pub async fn claim(
        &self,
        task: &Task,
        lease: Duration,
        worker: &str,
    ) -> Result<ClaimOutcome, StoreError> {
        self.claim_at(task, lease, worker, now_ms()).await
    }

    /// As [`TaskStore::claim`], with `now` as the claimer's time.
    pub(in crate::tasks) async fn claim_at(
        &self,
        task: &Task,
        lease: Duration,
        worker: &str,
        now: u64,
    ) -> Result<ClaimOutcome, StoreError> {
        // Each round removes an obstacle that does not come back, so a few rounds are enough. After
        // the last round the message is delivered again.
        for _ in 0..3 {
            let token = Uuid::new_v4().to_string();
            let claim = self.claiming(task, lease, worker, &token, now);
            let refused = match claim.send_and_read().await? {
                Ok(row) => return Ok(ClaimOutcome::Claimed(lease_of(&task.id, &row, token)?)),
                Err(row) => row,
            };
            let obstacle = obstacle(task, &refused, &token, now)?;
            if let Some(outcome) = self.remove_obstacle(task, obstacle, &refused, now).await? {
                return Ok(outcome);
            }
        }
        Ok(ClaimOutcome::Held { ends_in: lease })
    }

    /// Removes an obstacle, if it can be removed; `None` if the caller may try its write again.
    pub(super) async fn remove_obstacle(
        &self,
        task: &Task,
        obstacle: Obstacle,
        row: &Row,
        now: u64,
    ) -> Result<Option<ClaimOutcome>, StoreError> {
        match obstacle {
            Obstacle::Outcome(outcome) => return Ok(Some(outcome)),
            Obstacle::EarlierRun => drop(self.restart_at(task, now).await?),
            Obstacle::Orphan => drop(self.stop_orphan(&task.id, now).await?),
            Obstacle::Expired => self.delete_expired(&task.id, row).await?,
        }
        Ok(None)
    }

    fn claiming(
        &self,
        task: &Task,
        lease: Duration,
        worker: &str,
        token: &str,
        now: u64,
    ) -> super::update::Update {
        let entry = HashMap::from([
            (STARTED_AT.to_owned(), number(now)),
            (WORKER.to_owned(), text(worker)),
        ]);
        let claim = self
            .event(&task.id, Event::Claim)
            .when_is(RUN, number(task.run))
            .when_none(CANCEL_REQUESTED_AT)
            .when_free(now)
            .when_due(now)
            .when_same_submission(task);
        claim
            .describe(task)
            .set(LEASE_UNTIL, number(now + millis(lease)))
            .set(LEASE_TOKEN, text(token))
            .set_once(STARTED_AT, number(now))
            .append_history(AttributeValue::M(entry))
            .remove(NEXT_AT)
            .add(ATTEMPTS, 1)
    }
}

fn lease_of(id: &TaskId, row: &Row, token: String) -> Result<Lease, StoreError> {
    let attempt: u32 = row::get_number(row, ATTEMPTS)?;
    let continued: u32 = row::find_number(row, CONTINUATIONS)?.unwrap_or(0);
    let history = row.get(HISTORY).and_then(|value| value.as_l().ok());
    let history = history.map_or(0, Vec::len);
    Ok(Lease {
        id: id.clone(),
        run: row::get_number(row, RUN)?,
        attempt,
        counted: attempt.saturating_sub(continued),
        began_at: row::get_number(row, STARTED_AT)?,
        created_at: row::get_number(row, CREATED_AT)?,
        entry: u32::try_from(history).unwrap_or(u32::MAX).saturating_sub(1),
        has_error: row.contains_key(ERROR_KIND),
        next: Stored::of(row, NEXT, NEXT_CHUNKS, NEXT_PART)?,
        token,
    })
}

/// Why `row` refused a claim, or another write for a message. `token` is the writer's fencing token.
pub(super) fn obstacle(
    task: &Task,
    row: &Row,
    token: &str,
    now: u64,
) -> Result<Obstacle, StoreError> {
    let state = state(row)?;
    if state.is_final() && row::is_expired(row, now)? {
        return Ok(Obstacle::Expired);
    }
    if row::find_text(row, FINGERPRINT) != task.fingerprint {
        tracing::warn!(task_id = %task.id, "another submission has this idempotency key");
        return Ok(Obstacle::Outcome(ClaimOutcome::Ended));
    }
    let run: u32 = row::get_number(row, RUN)?;
    let until: u64 = row::find_number(row, LEASE_UNTIL)?.unwrap_or(0);
    let outcome = match state {
        _ if run > task.run => ClaimOutcome::Ended,
        // Only a task that ended without a result runs again. Any other message of a later run belongs
        // to a deleted record.
        _ if run < task.run => match next(Some(state), Event::Restart) {
            Ok(_) => return Ok(Obstacle::EarlierRun),
            Err(_) => ClaimOutcome::Ended,
        },
        _ if state.is_final() => match unfinished(task, row)? {
            Some(left) => ClaimOutcome::EffectsLeft(Box::new(left)),
            None => ClaimOutcome::Ended,
        },
        // The writer's own claim: its answer was lost, and the SDK repeated the call.
        _ if row::find_text(row, LEASE_TOKEN).as_deref() == Some(token) => {
            ClaimOutcome::Claimed(lease_of(&task.id, row, token.to_owned())?)
        }
        State::Running if until < now => return Ok(Obstacle::Orphan),
        State::Running => held(until, now),
        // The backoff is not over: a duplicate of the message, or a clock that is behind.
        _ => held(row::find_number(row, NEXT_AT)?.unwrap_or(0), now),
    };
    Ok(Obstacle::Outcome(outcome))
}

fn held(until: u64, now: u64) -> ClaimOutcome {
    ClaimOutcome::Held {
        ends_in: Duration::from_millis(until.saturating_sub(now)),
    }
}
