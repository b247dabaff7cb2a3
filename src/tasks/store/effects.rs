//! What the end of a run sets off: the names are a part of the task's description, so the write that ends
//! the run makes the effects due without a write of its own. One more write notes that they are done.

use super::chunks::Stored;
use super::names::*;
use super::row::RecordRow;
use super::update::EFFECT_ATTRIBUTES;
use super::{TaskStore, state};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::row::{self, Row, number};
use crate::tasks::id::TaskId;
use crate::tasks::record::End;
use crate::tasks::state::Event;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// A run that has ended, and whose effects are not done.
#[derive(Debug)]
pub struct Unfinished {
    /// The end of the run; its result and its calls are absent if they are stored in chunks.
    end: End,
    /// The chunks of a large result.
    result_chunks: Option<Stored>,
    /// The calls.
    calls: Option<Stored>,
    /// What the last attempt got in place of what the message has.
    next: Option<Stored>,
}

impl TaskStore {
    /// The end of the run of `task`, if the run has ended and has effects left.
    pub async fn unfinished(&self, task: &Task) -> Result<Option<Unfinished>, StoreError> {
        let row = self.get_row(&task.id).await?;
        row.map_or(Ok(None), |row| unfinished(task, &row))
    }

    /// The end with its result and its calls. What is stored in chunks is read from the table; `false` if
    /// chunks are unreadable or gone.
    pub async fn read_end(&self, task: &Task, left: Unfinished) -> Result<(End, bool), StoreError> {
        let mut end = left.end;
        let parts = [
            (left.result_chunks, &mut end.result),
            (left.calls, &mut end.calls),
        ];
        let mut is_whole = true;
        for (stored, part) in parts {
            let Some(stored) = stored else {
                continue;
            };
            match self.stored(&task.id, stored).await {
                Ok(json) => *part = Some(json),
                Err(StoreError::Corrupt(_)) => is_whole = false,
                Err(error) => return Err(error),
            }
        }
        Ok((end, is_whole))
    }

    /// The task as its last attempt had it; `None` if that is the task of the message.
    ///
    /// # Errors
    /// When the table does not answer, or what the record keeps for the attempt is unreadable.
    pub async fn as_attempted(
        &self,
        task: &Task,
        left: &Unfinished,
    ) -> Result<Option<Task>, StoreError> {
        self.with_next(task, left.next.as_ref()).await
    }

    /// Notes that the effects of the run of `task` are done. Repeated calls, and calls after the record is
    /// gone, change nothing.
    pub async fn finish_effects(&self, task: &Task, end: &End) -> Result<(), StoreError> {
        let finish = self
            .event(&task.id, Event::FinishEffects)
            .when_is(RUN, number(task.run))
            .when_same_submission(task)
            .set(EFFECTS_DONE, number(task.run));
        let finish = match end.calls {
            Some(_) => finish.remove(CALLS),
            None => finish,
        };
        let finish = match end.attempt {
            // A revocation may have created the record, without the task's description.
            0 => finish.describe(task),
            _ => finish,
        };
        finish.send().await.map(drop)
    }

    /// The message of an ended run with effects left, for another delivery; `None` if no effects are left.
    pub async fn effects_message(
        &self,
        viewer: &Viewer,
        id: &TaskId,
    ) -> Result<Option<Task>, StoreError> {
        let row = self.row(viewer, id).await?;
        match row.filter(RecordRow::has_effects_left) {
            Some(row) => row.message(id, now_ms()),
            None => Ok(None),
        }
    }
}

/// The end of the run of `task` in `row`, if the run has effects left. The message decides whether there
/// are effects: the record of a task that was revoked before its message came does not know them.
pub(super) fn unfinished(task: &Task, row: &Row) -> Result<Option<Unfinished>, StoreError> {
    let is_done = row::find_number(row, EFFECTS_DONE)? == Some(task.run);
    let is_same_run = row::find_number(row, RUN)? == Some(task.run);
    let mut written = EFFECT_ATTRIBUTES.iter();
    let has_effects = task.has_effects() || written.any(|name| row.contains_key(*name));
    if !has_effects || is_done || !is_same_run || !state(row)?.is_final() {
        return Ok(None);
    }
    let found = RecordRow::read(row.clone())?.into_found(&task.id)?;
    let record = found.record;
    Ok(Some(Unfinished {
        end: End {
            state: record.state,
            run: record.run,
            attempt: record.attempt,
            worker: record
                .attempts
                .into_iter()
                .last()
                .and_then(|last| last.worker),
            result: record.result,
            error: record.error,
            calls: None,
            is_rejected: found.is_rejected,
            finished_at: record.finished_at.unwrap_or(record.created_at),
        },
        result_chunks: found.result_chunks,
        calls: found.calls,
        next: found.next,
    }))
}
