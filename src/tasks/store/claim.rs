//! Taking a task for one attempt.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::names::*;
use super::{TaskStore, millis, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, Row, number, text};
use crate::tasks::state::{Event, State, next};
use crate::tasks::task::Task;

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The task is ours under this lease.
    Claimed(Lease),
    /// Another worker holds it, or its next attempt is not due.
    Held {
        /// When that lease ends if it is not extended, or the attempt is due.
        ends_in: Duration,
    },
    /// It has ended, or this message is not of its present run: there is nothing to do.
    Ended,
}

/// One attempt's right to write to a task's record. Each write checks the token, so that a worker
/// that was taken for dead cannot overwrite what its successor wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The task.
    pub id: Uuid,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many of the attempts, this one included, count against what is allowed: those that saved
    /// what they had done and ended with their invocation do not.
    pub counted: u32,
    /// When the task was accepted, in milliseconds since the Unix epoch.
    pub(super) created_at: u64,
    pub(super) token: String,
}

/// What a refused claim met.
pub(super) enum Met {
    Outcome(ClaimOutcome),
    /// An earlier run that ended: this message begins the next one.
    EarlierRun,
    /// Its caller cancelled it, and its worker died before it could stop.
    Orphan,
    /// A row whose time has passed and that DynamoDB has not deleted yet.
    Expired,
}

impl TaskStore {
    /// Takes a task for one attempt: counts it, and sets a lease of this length. Writes the record
    /// where the submitter has not. `worker` is kept for whoever looks at the record.
    pub async fn claim(
        &self,
        task: &Task,
        lease: Duration,
        worker: &str,
    ) -> Result<ClaimOutcome, StoreError> {
        self.claim_at(task, lease, worker, now_ms()).await
    }

    /// As [`TaskStore::claim`], at the claimer's time.
    pub(in crate::tasks) async fn claim_at(
        &self,
        task: &Task,
        lease: Duration,
        worker: &str,
        now: u64,
    ) -> Result<ClaimOutcome, StoreError> {
        // Each round ends a state that no claim leaves again, so a few are enough; what still is
        // not clear then comes again with its message.
        for _ in 0..3 {
            let token = Uuid::new_v4().to_string();
            let claim = self.claiming(task, lease, worker, &token, now);
            let refused = match claim.send_and_read().await? {
                Ok(row) => return Ok(ClaimOutcome::Claimed(lease_of(task.id, &row, token)?)),
                Err(row) => row,
            };
            let met = met(task, &refused, &token, now)?;
            if let Some(outcome) = self.clear(task, met, &refused, now).await? {
                return Ok(outcome);
            }
        }
        Ok(ClaimOutcome::Held { ends_in: lease })
    }

    /// Ends what stands in the way of a message, as far as it has to: `None` where it may be tried
    /// again.
    pub(super) async fn clear(
        &self,
        task: &Task,
        met: Met,
        row: &Row,
        now: u64,
    ) -> Result<Option<ClaimOutcome>, StoreError> {
        match met {
            Met::Outcome(outcome) => return Ok(Some(outcome)),
            Met::EarlierRun => drop(self.restart_as(task, now).await?),
            Met::Orphan => drop(self.stop_orphan(task.id, now).await?),
            Met::Expired => self.forget(task.id, row).await?,
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
            .event(task.id, Event::Claim)
            .when_is(RUN, number(task.run))
            .when_none(CANCEL_REQUESTED_AT)
            .when_free(now)
            .when_due(now)
            .when_of(task);
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

fn lease_of(id: Uuid, row: &Row, token: String) -> Result<Lease, StoreError> {
    let attempt: u32 = row::get_number(row, ATTEMPTS)?;
    let continued: u32 = row::find_number(row, CONTINUATIONS)?.unwrap_or(0);
    Ok(Lease {
        id,
        attempt,
        counted: attempt.saturating_sub(continued),
        created_at: row::get_number(row, CREATED_AT)?,
        token,
    })
}

/// What a refused claim, or another write for a message, met. `token` is the writer's own.
pub(super) fn met(task: &Task, row: &Row, token: &str, now: u64) -> Result<Met, StoreError> {
    let state = state(row)?;
    if state.is_final() && row::is_expired(row, now)? {
        return Ok(Met::Expired);
    }
    if row::find_text(row, FINGERPRINT) != task.fingerprint {
        tracing::warn!(task_id = %task.id, "another submission has this idempotency key");
        return Ok(Met::Outcome(ClaimOutcome::Ended));
    }
    let run: u32 = row::get_number(row, RUN)?;
    let until: u64 = row::find_number(row, LEASE_UNTIL)?.unwrap_or(0);
    let outcome = match state {
        _ if run > task.run => ClaimOutcome::Ended,
        // Only a task that ended without a result is run again; any other message of a later run was
        // sent for a record that is gone.
        _ if run < task.run => match next(Some(state), Event::Restart) {
            Ok(_) => return Ok(Met::EarlierRun),
            Err(_) => ClaimOutcome::Ended,
        },
        _ if state.is_final() => ClaimOutcome::Ended,
        // Our own claim, whose answer was lost and which the SDK repeated.
        _ if row::find_text(row, LEASE_TOKEN).as_deref() == Some(token) => {
            ClaimOutcome::Claimed(lease_of(task.id, row, token.to_owned())?)
        }
        State::Running if until < now => return Ok(Met::Orphan),
        State::Running => held(until, now),
        // A duplicate, or a clock that is behind: the backoff is not over.
        _ => held(row::find_number(row, NEXT_AT)?.unwrap_or(0), now),
    };
    Ok(Met::Outcome(outcome))
}

fn held(until: u64, now: u64) -> ClaimOutcome {
    ClaimOutcome::Held {
        ends_in: Duration::from_millis(until.saturating_sub(now)),
    }
}
