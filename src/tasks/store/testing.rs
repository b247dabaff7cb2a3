//! For tests: reads without a viewer, and claims by a worker whose clock is ahead.

use std::time::Duration;

use super::{ClaimOutcome, Fenced, Lease, RunEnd, TaskStore};
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::testing::Faults;
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

impl TaskStore {
    /// Ends a task with a result that sets off what the task's origin names.
    pub async fn complete(&self, held: &Lease, result: &str) -> Result<Fenced, StoreError> {
        self.complete_with(held, result, RunEnd::now()).await
    }

    /// The client.
    pub fn client(&self) -> &aws_sdk_dynamodb::Client {
        &self.client
    }

    /// Ends a cancelled task.
    pub async fn stop(&self, held: &Lease) -> Result<Fenced, StoreError> {
        self.stop_at(held, now_ms()).await
    }

    /// A record with its result.
    pub async fn get(&self, id: &TaskId) -> Result<Option<TaskRecord>, StoreError> {
        match self.find(&Viewer::Everyone, id).await? {
            Some(found) => self.with_result(found).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Claims a task in spite of a live lease, as a worker whose clock is an hour ahead.
pub async fn steal(tasks: &TaskStore, task: &Task) -> Lease {
    let (lease, now) = (Duration::from_secs(3600), now_ms() + 3_600_000);
    match tasks.claim_at(task, lease, "thief", now).await {
        Ok(ClaimOutcome::Claimed(lease)) => lease,
        other => panic!("not claimed: {other:?}"),
    }
}

/// The number of writes that ended a task.
pub fn ends(faults: &Faults, id: &TaskId) -> u32 {
    let states = faults.states(&id.to_string());
    let states = states.iter().filter_map(|name| State::from_name(name));
    states.filter(|state| state.is_final()).count() as u32
}
