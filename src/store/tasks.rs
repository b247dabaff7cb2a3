//! The table of tasks: one record each, written only along the edges of [`crate::tasks::state`].

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::keys::{self, Row, number, text};
use super::{StoreError, call_error, condition_held, refused_by};
use crate::ids::now_ms;
use crate::tasks::result::TaskError;
use crate::tasks::state::{Event, State};

const JOB: &str = "job";
const STATE: &str = "state";
const ATTEMPTS: &str = "attempts";
const CREATED_AT: &str = "created_at";
const LEASE_UNTIL: &str = "lease_until";
const LEASE_TOKEN: &str = "lease_token";
const RESULT: &str = "result";
const ERROR_KIND: &str = "error_type";
const ERROR_MESSAGE: &str = "error_message";

/// The part of a task that is its record.
const RECORD: u32 = 0;
/// The largest result in a record, in bytes. DynamoDB takes 400 KB for a row; the rest is for the
/// record's other attributes.
pub const MAX_RESULT: usize = 390 * 1024;
/// Characters of an error's message that are kept.
const MAX_MESSAGE: usize = 4_000;

/// What is known of a task when it is accepted.
#[derive(Debug, Clone, Copy)]
pub struct Submitted<'a> {
    /// The task.
    pub id: Uuid,
    /// Its job.
    pub job: &'a str,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub created_at: u64,
}

/// A task's record, as far as its result goes.
#[derive(Debug)]
pub struct TaskRecord {
    /// Where the task stands.
    pub state: State,
    /// What it gave.
    pub result: Option<Box<RawValue>>,
    /// Why its last attempt failed.
    pub error: Option<TaskError>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The task is ours under this lease.
    Claimed(Lease),
    /// Another worker holds it.
    Held {
        /// When that lease ends if it is not extended.
        ends_in: Duration,
    },
    /// It ended already.
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
    token: String,
}

/// What became of a write under a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It is written, now or by an earlier try of the same write.
    Written,
    /// The lease is another worker's.
    Lost,
}

/// The records of tasks.
#[derive(Debug, Clone)]
pub struct TaskStore {
    client: Client,
    table: String,
    retention: Duration,
}

impl TaskStore {
    /// Records in `table`, kept for `retention` after their tasks end.
    pub fn new(client: Client, table: String, retention: Duration) -> TaskStore {
        TaskStore {
            client,
            table,
            retention,
        }
    }

    /// Writes the record of an accepted task. That there is one already is as good: a fast worker
    /// wrote it, or an earlier try of this call.
    pub async fn submitted(&self, task: &Submitted<'_>) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(key(task.id)))
            .item(JOB, text(task.job))
            .item(STATE, text(State::Pending.as_str()))
            .item(ATTEMPTS, number(0))
            .item(CREATED_AT, number(task.created_at))
            .condition_expression("attribute_not_exists(id)");
        condition_held(put.send().await).map(drop)
    }

    /// A task's record; `None` where there is none or its time has passed. The read is consistent,
    /// so that an id is known as soon as it is answered.
    pub async fn get(&self, id: Uuid) -> Result<Option<TaskRecord>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let answer = get
            .set_key(Some(key(id)))
            .send()
            .await
            .map_err(call_error)?;
        match answer.item {
            Some(row) if !keys::is_expired(&row, now_ms())? => record(&row).map(Some),
            _ => Ok(None),
        }
    }

    /// Takes a task for one attempt: counts it, and sets a lease of this length. Writes the record
    /// where the submitter has not.
    pub async fn claim(
        &self,
        task: &Submitted<'_>,
        lease: Duration,
    ) -> Result<ClaimOutcome, StoreError> {
        self.claim_at(task, lease, now_ms()).await
    }

    /// As [`TaskStore::claim`], at the claimer's time.
    pub(super) async fn claim_at(
        &self,
        task: &Submitted<'_>,
        lease: Duration,
        now: u64,
    ) -> Result<ClaimOutcome, StoreError> {
        let token = Uuid::new_v4().to_string();
        let claim = self
            .edge(
                task.id,
                Event::Claim,
                "(#state <> :running OR lease_until < :now)",
            )
            .update_expression(concat!(
                "SET #state = :to, #job = :job, lease_until = :until, lease_token = :token, ",
                "created_at = if_not_exists(created_at, :created), started_at = :now ",
                "ADD attempts :one"
            ))
            .expression_attribute_names("#job", JOB)
            .expression_attribute_values(":to", text(State::Running.as_str()))
            .expression_attribute_values(":job", text(task.job))
            .expression_attribute_values(":until", number(now + millis(lease)))
            .expression_attribute_values(":token", text(&token))
            .expression_attribute_values(":created", number(task.created_at))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::AllNew);
        match claim.send().await {
            Ok(UpdateItemOutput { attributes, .. }) => {
                let row = attributes.unwrap_or_default();
                let attempt = keys::get_number(&row, ATTEMPTS)?;
                Ok(ClaimOutcome::Claimed(Lease {
                    id: task.id,
                    attempt,
                    token,
                }))
            }
            Err(error) => unclaimed(task.id, &refused_by(error)?, token, now),
        }
    }

    /// Extends a lease to `lease` from now.
    pub async fn extend(&self, held: &Lease, lease: Duration) -> Result<Fenced, StoreError> {
        let extend = self
            .fenced(held, Event::Complete)
            .update_expression("SET lease_until = :until")
            .expression_attribute_values(":until", number(now_ms() + millis(lease)));
        self.write(held, extend, State::Running).await
    }

    /// Ends a task with its result.
    pub async fn complete(&self, held: &Lease, result: &str) -> Result<Fenced, StoreError> {
        if result.len() > MAX_RESULT {
            return Err(StoreError::TooLarge);
        }
        let complete = self
            .fenced(held, Event::Complete)
            .update_expression(concat!(
                "SET #state = :to, #result = :result, finished_at = :now, expires_at = :expires ",
                "REMOVE error_type, error_message"
            ))
            .expression_attribute_names("#result", RESULT)
            .expression_attribute_values(":to", text(State::Completed.as_str()))
            .expression_attribute_values(":result", text(result));
        self.write(held, self.ending(complete), State::Completed)
            .await
    }

    /// Ends a task with an error.
    pub async fn fail(&self, held: &Lease, error: &TaskError) -> Result<Fenced, StoreError> {
        let fail = self.fenced(held, Event::Fail);
        self.write(held, self.failing(fail, error), State::Failed)
            .await
    }

    /// Records that an attempt failed and when the next one is due.
    pub async fn retry(
        &self,
        held: &Lease,
        error: &TaskError,
        delay: Duration,
    ) -> Result<Fenced, StoreError> {
        let retry = self
            .fenced(held, Event::Retry)
            .update_expression(
                "SET #state = :to, error_type = :kind, error_message = :message, next_at = :next",
            )
            .expression_attribute_values(":to", text(State::Retrying.as_str()))
            .expression_attribute_values(":next", number(now_ms() + millis(delay)));
        self.write(held, with_error(retry, error), State::Retrying)
            .await
    }

    /// Ends a task whose message can never be worked on. `false` where it runs or has ended.
    pub async fn reject(&self, id: Uuid, error: &TaskError) -> Result<bool, StoreError> {
        let reject = self.edge(id, Event::Reject, "#state <> :to");
        condition_held(self.failing(reject, error).send().await)
    }

    /// An update on the condition that the record's state allows `event` and that `further` holds;
    /// where the event may begin a record, also that there is none.
    fn edge(&self, id: Uuid, event: Event, further: &str) -> UpdateItemFluentBuilder {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .expression_attribute_names("#state", STATE)
            .return_values_on_condition_check_failure(AllOld);
        let mut names = Vec::new();
        for state in event.sources() {
            let name = format!(":{state}");
            update = update.expression_attribute_values(&name, text(state.as_str()));
            names.push(name);
        }
        let allowed = format!("(#state IN ({}) AND {further})", names.join(", "));
        let begins = if event.creates() {
            "attribute_not_exists(id) OR "
        } else {
            ""
        };
        update.condition_expression(format!("{begins}{allowed}"))
    }

    /// An update under a lease.
    fn fenced(&self, held: &Lease, event: Event) -> UpdateItemFluentBuilder {
        self.edge(held.id, event, "lease_token = :token")
            .expression_attribute_values(":token", text(&held.token))
    }

    fn failing(
        &self,
        update: UpdateItemFluentBuilder,
        error: &TaskError,
    ) -> UpdateItemFluentBuilder {
        let update = update
            .update_expression(concat!(
                "SET #state = :to, error_type = :kind, error_message = :message, ",
                "finished_at = :now, expires_at = :expires"
            ))
            .expression_attribute_values(":to", text(State::Failed.as_str()));
        self.ending(with_error(update, error))
    }

    /// The times of a task's end.
    fn ending(&self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let now = now_ms();
        let expires = now / 1000 + self.retention.as_secs();
        update
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires", number(expires))
    }

    /// Sends an update under a lease. Where it is refused by a row that has our token and the state
    /// it would have led to, an earlier try did it and only its answer was lost.
    async fn write(
        &self,
        held: &Lease,
        update: UpdateItemFluentBuilder,
        to: State,
    ) -> Result<Fenced, StoreError> {
        let Err(error) = update.send().await else {
            return Ok(Fenced::Written);
        };
        let row = refused_by(error)?;
        let ours = keys::find_text(&row, LEASE_TOKEN).as_deref() == Some(&held.token);
        let done = keys::find_text(&row, STATE).as_deref() == Some(to.as_str());
        Ok(if ours && done {
            Fenced::Written
        } else {
            Fenced::Lost
        })
    }
}

/// What a refused claim met.
fn unclaimed(id: Uuid, row: &Row, token: String, now: u64) -> Result<ClaimOutcome, StoreError> {
    if state(row)?.is_final() {
        return Ok(ClaimOutcome::Ended);
    }
    // Our own claim, whose answer was lost and which the SDK repeated.
    if keys::find_text(row, LEASE_TOKEN).as_deref() == Some(&token) {
        let attempt = keys::get_number(row, ATTEMPTS)?;
        return Ok(ClaimOutcome::Claimed(Lease { id, attempt, token }));
    }
    let until: u64 = keys::get_number(row, LEASE_UNTIL)?;
    Ok(ClaimOutcome::Held {
        ends_in: Duration::from_millis(until.saturating_sub(now)),
    })
}

fn record(row: &Row) -> Result<TaskRecord, StoreError> {
    let result = keys::find_text(row, RESULT)
        .map(RawValue::from_string)
        .transpose();
    let error = keys::find_text(row, ERROR_KIND).map(|kind| TaskError {
        kind,
        message: keys::find_text(row, ERROR_MESSAGE).unwrap_or_default(),
    });
    Ok(TaskRecord {
        state: state(row)?,
        result: result.map_err(|_| StoreError::Corrupt("the result is no JSON".to_owned()))?,
        error,
    })
}

fn state(row: &Row) -> Result<State, StoreError> {
    let name = keys::get_text(row, STATE)?;
    State::from_name(&name).ok_or_else(|| StoreError::Corrupt(format!("a state {name:?}")))
}

fn key(id: Uuid) -> Row {
    let part: AttributeValue = number(RECORD);
    Row::from([
        (keys::ID.to_owned(), text(id.to_string())),
        (keys::PART.to_owned(), part),
    ])
}

fn with_error(update: UpdateItemFluentBuilder, error: &TaskError) -> UpdateItemFluentBuilder {
    let message: String = error.message.chars().take(MAX_MESSAGE).collect();
    update
        .expression_attribute_values(":kind", text(&error.kind))
        .expression_attribute_values(":message", text(message))
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests;
