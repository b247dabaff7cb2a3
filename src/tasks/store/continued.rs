//! What carries a task on: what an attempt leaves for the next attempt of its run, and another message for a
//! task that has moved on.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::value::RawValue;

use super::chunks::{LONGEST_WAIT, Stored};
use super::names::*;
use super::restart::RUN_ATTRIBUTES;
use super::update::Update;
use super::{Lease, TaskStore, description};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, number, text};
use crate::tasks::state::{Event, State};
use crate::tasks::task::{Next, Task};

/// The most bytes for the next attempt in the record itself; as for an origin.
const MAX_RECORD_NEXT: usize = 1024;

/// The attributes of a task's description that another message of the task may lack.
const OPTIONAL: [&str; 10] = [
    ETA,
    EXPIRES,
    MAX_RETRIES,
    TIME_LIMIT,
    INPUT,
    INPUT_CHUNKS,
    ORIGIN_DATA,
    ORIGIN_CHUNKS,
    EFFECTS,
    GENERATION,
];

/// The attributes of a task's description that stay as its first message had them.
const KEPT: [&str; 4] = [CREATED_AT, LIST_SHARD, LIST_KEY, PRIORITY];

/// The place of a message among the messages that carry one task on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The message carries the task on, in the run that the task now has.
    Now,
    /// The task has gone on without this message, or has ended.
    Past,
    /// The run before has not ended, or has effects left.
    Early,
}

impl TaskStore {
    /// Adds what further attempts of the run get.
    pub(super) async fn with_next_attempt(
        &self,
        held: &Lease,
        update: Update,
        next: &Next,
        delay: Duration,
    ) -> Result<Update, StoreError> {
        let json = serde_json::to_string(next);
        let json = json.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        if json.len() <= MAX_RECORD_NEXT {
            let update = update.set(NEXT, text(json));
            return Ok(match held.next {
                Some(Stored::Chunks { .. }) => update.remove(NEXT_CHUNKS).remove(NEXT_PART),
                _ => update,
            });
        }
        let put = self.put_given(held, 0, &json, delay + LONGEST_WAIT);
        let (first, count) = put.await?;
        let update = update
            .set(NEXT_CHUNKS, number(count))
            .set(NEXT_PART, number(first));
        Ok(match held.next {
            Some(Stored::Here(_)) => update.remove(NEXT),
            _ => update,
        })
    }

    /// The task of an attempt; `None` if that is the task of the message.
    ///
    /// # Errors
    /// When the table does not answer, or what the record keeps for the attempt is unreadable.
    pub async fn for_attempt(&self, task: &Task, held: &Lease) -> Result<Option<Task>, StoreError> {
        self.with_next(task, held.next.as_ref()).await
    }

    pub(super) async fn with_next(
        &self,
        task: &Task,
        next: Option<&Stored>,
    ) -> Result<Option<Task>, StoreError> {
        let Some(next) = next else {
            return Ok(None);
        };
        let json: Box<RawValue> = self.stored(&task.id, next.clone()).await?;
        let next: Next = serde_json::from_str(json.get())
            .map_err(|error| StoreError::Corrupt(format!("the next attempt: {error}")))?;
        Ok(Some(task.with_next(next)))
    }

    /// The place of a message of a generation above 0. Sets the run of the task that has moved on to the
    /// message, and begins the run if no message has done so. Call this before any other write for the
    /// message.
    pub async fn place(&self, task: &mut Task) -> Result<Place, StoreError> {
        let row = match self.get_row(&task.id).await? {
            None => return Ok(Place::Now),
            Some(row) => row,
        };
        let state = super::state(&row)?;
        if state.is_final() && row::is_expired(&row, now_ms())? {
            return Ok(Place::Now);
        }
        let generation: u32 = row::find_number(&row, GENERATION)?.unwrap_or(0);
        let run: u32 = row::get_number(&row, RUN)?;
        if generation == task.generation {
            // The message of a restart is sent before the restart is written.
            task.run = task.run.max(run);
            return Ok(Place::Now);
        }
        if generation > task.generation {
            return Ok(Place::Past);
        }
        match state {
            State::Moved => {
                task.run = run.saturating_add(1);
                let Err(row) = self.continuing(task).send().await? else {
                    return Ok(Place::Now);
                };
                // An earlier try of this write, or another delivery of the message, has begun the run.
                let begun = row::find_number(&row, GENERATION)? == Some(task.generation);
                Ok(if begun { Place::Now } else { Place::Early })
            }
            state if state.is_final() => Ok(Place::Past),
            _ => Ok(Place::Early),
        }
    }

    /// Begins the run in which a moved task goes on.
    fn continuing(&self, task: &Task) -> Update {
        let before = task.run.saturating_sub(1);
        let described: Vec<_> = description(task)
            .into_iter()
            .filter(|(name, _)| !KEPT.contains(name))
            .collect();
        let is_described = |name: &&str| described.iter().any(|(known, _)| known == name);
        let absent = OPTIONAL.iter().chain(&RUN_ATTRIBUTES);
        let mut absent: Vec<&'static str> =
            absent.filter(|name| !is_described(name)).copied().collect();
        absent.sort_unstable();
        absent.dedup();
        let update = self
            .event(&task.id, Event::Continue)
            .when_is(RUN, number(before))
            .when_effects_done(before)
            .set(RUN, number(task.run))
            .set(ATTEMPTS, number(0))
            .set(HISTORY, AttributeValue::L(Vec::new()));
        let update = described
            .into_iter()
            .fold(update, |update, (name, value)| update.set(name, value));
        absent.into_iter().fold(update, Update::remove)
    }
}
