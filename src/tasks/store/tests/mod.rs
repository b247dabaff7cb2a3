//! Submission, claim, result and failure of a task, and the fencing of lost leases.

mod conflicts;
mod filters;
mod life;
mod lists;
mod model;
mod owners;
mod rejected;
mod skips;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::*;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::dynamodb::testing::{self, Faults};
use crate::tasks::record::{Progress, TaskError, TaskRecord};
use crate::tasks::viewer::Viewer;

const WORKER: &str = "worker 1";
const LEASE: Duration = Duration::from_secs(60);
/// A lease that ends at once.
const NO_LEASE: Duration = Duration::ZERO;

fn store() -> TaskStore {
    faulty(&Faults::default())
}

fn faulty(faults: &Faults) -> TaskStore {
    TaskStore::new(
        testing::faulty(faults),
        testing::TASKS.to_owned(),
        Duration::from_secs(3600),
    )
}

fn task() -> Task {
    let input = RawValue::from_string("{}".to_owned()).unwrap();
    Task::new(Uuid::new_v4(), "process_data", input, now_ms())
}

/// A failure with another attempt at once.
fn retried(error: &TaskError) -> TaskFailure<'_> {
    TaskFailure::new(error, Some(Duration::ZERO))
}

fn failed(error: &TaskError) -> TaskFailure<'_> {
    TaskFailure::new(error, None)
}

/// A second task, for tests with a local variable `task`.
fn another_task() -> Task {
    task()
}

fn error() -> TaskError {
    TaskError::new("Trouble", "it broke")
}

async fn claimed(store: &TaskStore, task: &Task, lease: Duration) -> Lease {
    match store.claim(task, lease, WORKER).await.unwrap() {
        ClaimOutcome::Claimed(lease) => lease,
        other => panic!("{other:?}"),
    }
}

/// The next run of an ended task.
async fn next_run(store: &TaskStore, id: &TaskId) -> Task {
    match store.next_run(&Viewer::Everyone, id).await.unwrap() {
        NextRun::Ready(task) => *task,
        other => panic!("the task cannot run again: {other:?}"),
    }
}

/// Waits for the next millisecond, so that a lease of no length lies in the past.
async fn next_millisecond() {
    let now = now_ms();
    while now_ms() == now {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_task_is_submitted_claimed_and_completed() {
    let (store, task) = (store(), task());
    store.submitted(&task).await.unwrap();
    assert_eq!(
        store.get(&task.id).await.unwrap().unwrap().state,
        State::Pending
    );
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!(lease.attempt, 1);
    assert_eq!(
        store.get(&task.id).await.unwrap().unwrap().state,
        State::Running
    );
    assert_eq!(
        store.extend(&lease, LEASE, None).await.unwrap(),
        Fenced::Written
    );
    assert_eq!(
        store.complete(&lease, r#"{"b":1.0}"#).await.unwrap(),
        Fenced::Written
    );
    let record = store.get(&task.id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Completed);
    assert_eq!(record.result.unwrap().get(), r#"{"b":1.0}"#);
    assert!(matches!(
        store.claim(&task, LEASE, WORKER).await.unwrap(),
        ClaimOutcome::Ended
    ));
}

#[tokio::test]
async fn a_worker_may_claim_a_task_before_its_record_is_written() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    store.submitted(&task).await.unwrap();
    assert_eq!(
        store.get(&task.id).await.unwrap().unwrap().state,
        State::Running
    );
    store.complete(&lease, "1").await.unwrap();
    store.submitted(&task).await.unwrap();
    assert_eq!(
        store.get(&task.id).await.unwrap().unwrap().state,
        State::Completed
    );
}

#[tokio::test]
async fn a_live_lease_refuses_other_claims_and_a_lost_lease_is_fenced() {
    let (store, task) = (store(), task());
    claimed(&store, &task, LEASE).await;
    let ClaimOutcome::Held { ends_in } = store.claim(&task, LEASE, WORKER).await.unwrap() else {
        panic!("claimed under a live lease");
    };
    assert!(ends_in <= LEASE && ends_in > LEASE / 2, "{ends_in:?}");

    let other = another_task();
    let first = claimed(&store, &other, NO_LEASE).await;
    next_millisecond().await;
    let second = claimed(&store, &other, LEASE).await;
    assert_eq!(second.attempt, 2);
    for fenced in [
        store.extend(&first, LEASE, None).await.unwrap(),
        store.complete(&first, "1").await.unwrap(),
        store.fail(&first, failed(&error())).await.unwrap(),
        store.fail(&first, retried(&error())).await.unwrap(),
    ] {
        assert_eq!(fenced, Fenced::Lost);
    }
    assert_eq!(store.complete(&second, "2").await.unwrap(), Fenced::Written);
    assert_eq!(store.complete(&first, "1").await.unwrap(), Fenced::Lost);
    assert_eq!(
        store
            .get(&other.id)
            .await
            .unwrap()
            .unwrap()
            .result
            .unwrap()
            .get(),
        "2"
    );
}

#[tokio::test]
async fn a_failed_attempt_can_be_followed_by_another() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!(
        store.fail(&lease, retried(&error())).await.unwrap(),
        Fenced::Written
    );
    let record = store.get(&task.id).await.unwrap().unwrap();
    assert_eq!(
        (record.state, record.error),
        (State::Retrying, Some(error()))
    );
    assert_eq!(
        store.complete(&lease, "1").await.unwrap(),
        Fenced::Lost,
        "the attempt has ended"
    );
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!(lease.attempt, 2);
    store.complete(&lease, "1").await.unwrap();
    assert_eq!(store.get(&task.id).await.unwrap().unwrap().error, None);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_counts_once() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    faults.lose_answer("UpdateItem");
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!((lease.attempt, faults.calls("UpdateItem")), (1, 2));
    faults.lose_answer("UpdateItem");
    assert_eq!(
        store.fail(&lease, retried(&error())).await.unwrap(),
        Fenced::Written
    );
    let lease = claimed(&store, &task, LEASE).await;
    faults.lose_answer("UpdateItem");
    assert_eq!(store.complete(&lease, "1").await.unwrap(), Fenced::Written);
    assert_eq!(
        store.get(&task.id).await.unwrap().unwrap().state,
        State::Completed
    );
}

#[tokio::test]
async fn a_large_result_is_stored_in_chunks() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    // Digits that do not compress well, for several chunks.
    let numbers: Vec<u64> = (1..90_000u64)
        .map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect();
    let large = serde_json::to_string(&numbers).unwrap();
    assert_eq!(
        store.complete(&lease, &large).await.unwrap(),
        Fenced::Written
    );
    let record = store.get(&task.id).await.unwrap().unwrap();
    assert!(
        record.result.unwrap().get() == large,
        "the result has changed"
    );
}

#[tokio::test]
async fn a_result_beyond_the_limit_is_refused() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    let large = format!("\"{}\"", "x".repeat(MAX_RESULT));
    assert!(matches!(
        store.complete(&lease, &large).await,
        Err(StoreError::TooLarge)
    ));
}

#[tokio::test]
async fn an_expired_record_is_invisible() {
    let client = testing::client();
    let store = TaskStore::new(client, testing::TASKS.to_owned(), Duration::ZERO);
    let task = task();
    let lease = claimed(&store, &task, LEASE).await;
    store.complete(&lease, "1").await.unwrap();
    assert!(store.get(&task.id).await.unwrap().is_none());
}
