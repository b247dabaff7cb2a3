//! What callers do to a task's record, and what happens to it while no worker has it.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use uuid::Uuid;

use super::names::*;
use super::record::{self, Peeked, TaskRecord};
use super::{RECORD, TaskStore, description, key, list, state};
use crate::ids::now_ms;
use crate::store::keys::{self, EXPIRES_AT, Row, number, text};
use crate::store::{StoreError, call_error, condition_held, refused_by};
use crate::tasks::state::{self, Event, State};
use crate::tasks::task::Task;

/// What became of the record of an accepted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// It is there, written now, by an earlier try of this call, or by a fast worker.
    Recorded,
    /// The id is of a submission that asked for something else.
    Different,
}

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The task is cancelled.
    Now,
    /// A worker has it and will stop.
    Requested,
    /// It had ended like this.
    Ended(State),
    /// There is no such task.
    Unknown,
}

/// What became of a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarted {
    /// The task waits for its next run.
    Written,
    /// It is in another state by now, or in a later run.
    Refused,
}

/// What there is to run again.
#[derive(Debug)]
pub enum NextRun {
    /// This.
    Ready(Box<Task>),
    /// Nothing: in this state a task is not run again.
    Refused(State),
    /// Its input was never known.
    WithoutInput,
    /// There is no such task.
    Unknown,
}

impl TaskStore {
    /// Writes the record of an accepted task.
    pub async fn submitted(&self, task: &Task) -> Result<Submitted, StoreError> {
        loop {
            let Err(row) = self.put_record(task).await? else {
                return Ok(Submitted::Recorded);
            };
            if state(&row)?.is_final() && keys::is_expired(&row, now_ms())? {
                self.forget(task.id, &row).await?;
            } else if keys::find_text(&row, FINGERPRINT) == task.fingerprint {
                return Ok(Submitted::Recorded);
            } else {
                return Ok(Submitted::Different);
            }
        }
    }

    async fn put_record(&self, task: &Task) -> Result<Result<(), Row>, StoreError> {
        let state = match task.options.eta {
            Some(_) => State::Scheduled,
            None => State::Pending,
        };
        let mut row = key(task.id, RECORD);
        row.extend(
            description(task)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        row.extend([
            (STATE.to_owned(), text(state.as_str())),
            (RUN.to_owned(), number(task.run)),
            (ATTEMPTS.to_owned(), number(0)),
        ]);
        if let Some(shard) = list::state_shard(task.id, state) {
            row.insert(STATE_SHARD.to_owned(), text(shard));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(AllOld);
        match put.send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => refused_by(error).map(Err),
        }
    }

    /// A task's record; `None` where there is none or its time has passed. The read is consistent,
    /// so that an id is known as soon as it is answered.
    pub async fn get(&self, id: Uuid) -> Result<Option<TaskRecord>, StoreError> {
        match self.look_at(id).await? {
            Some(peeked) => self.whole(peeked).await.map(Some),
            None => Ok(None),
        }
    }

    /// As [`TaskStore::get`], without what is stored beside the record.
    pub async fn peek(&self, id: Uuid) -> Result<Option<TaskRecord>, StoreError> {
        let peeked = self.look_at(id).await?;
        Ok(peeked.map(|peeked| peeked.record))
    }

    /// As [`TaskStore::peek`], for [`TaskStore::whole`], which adds what is stored beside it.
    pub async fn look_at(&self, id: Uuid) -> Result<Option<Peeked>, StoreError> {
        let Some(row) = self.record_row(id).await? else {
            return Ok(None);
        };
        let record = record::read(id, &row)?;
        Ok(Some(Peeked { record, row }))
    }

    async fn record_row(&self, id: Uuid) -> Result<Option<Row>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true)
            .set_key(Some(key(id, RECORD)));
        let row = get.send().await.map_err(call_error)?.item;
        match row {
            Some(row) if keys::is_expired(&row, now_ms())? => Ok(None),
            row => Ok(row),
        }
    }

    /// A task that ended, as its next run. State, run and input are read at once: two callers who ask
    /// at the same time get the same run.
    pub async fn next_run(&self, id: Uuid) -> Result<NextRun, StoreError> {
        let Some(row) = self.record_row(id).await? else {
            return Ok(NextRun::Unknown);
        };
        let state = state(&row)?;
        if state::next(Some(state), Event::Restart).is_err() {
            return Ok(NextRun::Refused(state));
        }
        let task = record::next_run(id, &row, now_ms())?;
        Ok(task.map_or(NextRun::WithoutInput, |task| NextRun::Ready(Box::new(task))))
    }

    /// Cancels a task: at once where no worker has it, else by a request that its worker meets at
    /// its next heartbeat.
    pub async fn cancel(&self, id: Uuid) -> Result<Cancelled, StoreError> {
        // The state may change between the two writes, but only so often.
        for _ in 0..3 {
            let cancel = self
                .edge(id, Event::Cancel)
                .to(id, State::Cancelled)
                .remove(NEXT_AT);
            let Err(row) = self.with_end(cancel).send().await? else {
                return Ok(Cancelled::Now);
            };
            if row.is_empty() || keys::is_expired(&row, now_ms())? {
                return Ok(Cancelled::Unknown);
            }
            let now = state(&row)?;
            if now.is_final() {
                return Ok(Cancelled::Ended(now));
            }
            if now == State::Running && self.request_cancel(id).await? {
                return Ok(Cancelled::Requested);
            }
        }
        Err(StoreError::Busy)
    }

    /// Asks the worker of a running task to stop. That it was asked before is as good.
    async fn request_cancel(&self, id: Uuid) -> Result<bool, StoreError> {
        let request = self
            .edge(id, Event::Stop)
            .set_once(CANCEL_REQUESTED_AT, number(now_ms()));
        Ok(request.send().await?.is_ok())
    }

    /// Ends a task whose time to begin is over. `false` where it runs or has ended.
    pub async fn expire(&self, task: &Task) -> Result<bool, StoreError> {
        let expire = self
            .edge(task.id, Event::Expire)
            .when_is(RUN, number(task.run))
            .when_of(task)
            .to(task.id, State::Expired)
            .describe(task)
            .set_once(ATTEMPTS, number(0))
            .remove(NEXT_AT);
        Ok(self.with_end(expire).send().await?.is_ok())
    }

    /// Makes a task that ended ready for the run that `task` is, whose message was sent before.
    pub async fn restart(&self, task: &Task) -> Result<Restarted, StoreError> {
        self.restart_as(task, now_ms()).await
    }

    pub(super) async fn restart_as(&self, task: &Task, now: u64) -> Result<Restarted, StoreError> {
        let restart = self
            .edge(task.id, Event::Restart)
            .when_is(RUN, number(task.run.saturating_sub(1)))
            .to(task.id, State::Pending)
            .set(RUN, number(task.run))
            .set(ATTEMPTS, number(0))
            .set(HISTORY, AttributeValue::L(Vec::new()))
            .set("restarted_at", number(now));
        let gone = [
            CONTINUATIONS,
            ETA,
            EXPIRES,
            STARTED_AT,
            FINISHED_AT,
            EXPIRES_AT,
            NEXT_AT,
            CANCEL_REQUESTED_AT,
            LEASE_UNTIL,
            LEASE_TOKEN,
            ERROR_KIND,
            ERROR_MESSAGE,
            PROGRESS,
        ];
        let restart = gone
            .into_iter()
            .fold(restart, super::update::Update::remove);
        Ok(match restart.send().await? {
            Ok(_) => Restarted::Written,
            // An earlier try of this write, or the worker that was faster.
            Err(row) if keys::find_number(&row, RUN)? == Some(task.run) => Restarted::Written,
            Err(_) => Restarted::Refused,
        })
    }

    /// Deletes a row whose time has passed, so that its id may be used anew.
    pub(super) async fn forget(&self, id: Uuid, row: &Row) -> Result<(), StoreError> {
        let seconds: u64 = keys::get_number(row, EXPIRES_AT)?;
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(id, RECORD)))
            .condition_expression("expires_at = :seen")
            .expression_attribute_values(":seen", number(seconds));
        condition_held(delete.send().await).map(drop)
    }
}
