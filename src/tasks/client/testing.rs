//! For tests: the clients over an embedded table and a simulated queue.

use std::time::Duration;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{BulkClient, Canceller, Submitter};
use crate::clock::now_ms;
use crate::dynamodb::testing::{self, Faults, Gate, Rows};
use crate::tasks::queue::TaskQueue;
use crate::tasks::record::TaskError;
use crate::tasks::state::State;
use crate::tasks::store::{ClaimOutcome, Fenced, Lease, TaskFailure, TaskStore};
use crate::tasks::task::Task;
use crate::tasks::worker::testing::Queue;

/// The table and the queues.
pub struct World {
    pub faults: Faults,
    pub store: TaskStore,
    pub queue: Queue,
}

impl World {
    pub fn new() -> World {
        let faults = Faults::default();
        let client = Rows::new(&faults).client(&Gate::default());
        let (table, retention) = (testing::TASKS.to_owned(), Duration::from_secs(3600));
        World {
            store: TaskStore::new(client, table, retention),
            faults,
            queue: Queue::default(),
        }
    }

    pub fn task_queue(&self) -> TaskQueue {
        let url = |name: &str| format!("http://sqs/{name}");
        let client = self.queue.client(&Gate::default());
        TaskQueue::new(client, url("tasks"), url("high"))
    }

    pub fn submitter(&self) -> Submitter {
        Submitter::new(self.task_queue(), self.store.clone(), None)
    }

    pub fn bulk(&self) -> BulkClient {
        let canceller = Canceller::new(self.store.clone(), None, self.task_queue());
        BulkClient::new(self.store.clone(), self.submitter(), canceller)
    }

    /// A task in this state, without a message; a failed task has failed with an error of the kind `Trouble`.
    pub async fn task(&self, job: &str, caller: Option<&str>, state: State) -> Task {
        let mut task = new_task(job, caller);
        if state == State::Scheduled {
            task.options.eta = Some(now_ms() + 3_600_000);
        }
        self.store.submitted(&task).await.unwrap();
        match state {
            State::Scheduled | State::Pending => {}
            State::Cancelled => drop(
                self.store
                    .cancel(&crate::tasks::viewer::Viewer::Everyone, &task.id)
                    .await
                    .unwrap(),
            ),
            State::Failed => self.fail(&task).await,
            State::Completed => {
                let lease = self.claim(&task).await;
                let done = self.store.complete(&lease, "1").await.unwrap();
                assert_eq!(done, Fenced::Written);
            }
            _ => drop(self.claim(&task).await),
        }
        task
    }

    pub async fn claim(&self, task: &Task) -> Lease {
        let claim = self.store.claim(task, Duration::from_secs(60), "worker");
        match claim.await.unwrap() {
            ClaimOutcome::Claimed(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// Lets a waiting task fail.
    pub async fn fail(&self, task: &Task) {
        let lease = self.claim(task).await;
        let error = TaskError::new("Trouble", "it broke");
        let failed = self.store.fail(&lease, TaskFailure::new(&error, None));
        assert_eq!(failed.await.unwrap(), Fenced::Written);
    }

    pub async fn state(&self, task: &Task) -> State {
        self.store.get(&task.id).await.unwrap().unwrap().state
    }

    /// The messages that wait in the queue.
    pub fn messages(&self) -> usize {
        self.queue.receive(0, 100_000, false).len()
    }
}

pub fn new_task(job: &str, caller: Option<&str>) -> Task {
    let input = RawValue::from_string("{}".to_owned()).unwrap();
    let mut task = Task::new(Uuid::new_v4(), job, input, now_ms());
    task.caller = caller.map(str::to_owned);
    task
}

/// Waits for the next millisecond.
pub async fn next_millisecond() {
    let now = now_ms();
    while now_ms() == now {
        tokio::task::yield_now().await;
    }
}
