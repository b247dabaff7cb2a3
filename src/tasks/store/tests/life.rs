//! Cancellation, expiry, restarts, handed-back attempts, and large inputs.

use serde_json::json;

use super::*;
use crate::tasks::task::Options;
use crate::tasks::task::Origin;

async fn record(store: &TaskStore, task: &Task) -> TaskRecord {
    store.get(&task.id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_task_without_a_worker_is_cancelled_at_once() {
    let (store, task) = (store(), task());
    store.submitted(&task).await.unwrap();
    assert_eq!(
        store.cancel(&Viewer::Everyone, &task.id).await.unwrap(),
        Cancelled::Now
    );
    assert_eq!(record(&store, &task).await.state, State::Cancelled);
    let claim = store.claim(&task, LEASE, WORKER).await.unwrap();
    assert!(matches!(claim, ClaimOutcome::Ended));
    let again = store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
    assert_eq!(again, Cancelled::Ended(State::Cancelled));
    let unknown = store
        .cancel(&Viewer::Everyone, &TaskId::from(Uuid::new_v4()))
        .await
        .unwrap();
    assert_eq!(unknown, Cancelled::Unknown);
}

#[tokio::test]
async fn a_task_with_a_requested_cancellation_accepts_no_result() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!(
        store.cancel(&Viewer::Everyone, &task.id).await.unwrap(),
        Cancelled::Requested
    );
    assert_eq!(
        store.cancel(&Viewer::Everyone, &task.id).await.unwrap(),
        Cancelled::Requested
    );
    for fenced in [
        store.extend(&lease, LEASE, None).await.unwrap(),
        store.complete(&lease, "1").await.unwrap(),
        store.fail(&lease, failed(&error())).await.unwrap(),
        store.fail(&lease, retried(&error())).await.unwrap(),
        store.hand_back(&lease).await.unwrap(),
    ] {
        assert_eq!(fenced, Fenced::Cancelled);
    }
    assert_eq!(store.stop(&lease).await.unwrap(), Fenced::Written);
    assert_eq!(store.stop(&lease).await.unwrap(), Fenced::Written, "again");
    assert_eq!(record(&store, &task).await.state, State::Cancelled);
    assert_eq!(store.complete(&lease, "1").await.unwrap(), Fenced::Lost);
}

#[tokio::test]
async fn a_cancelled_task_whose_worker_died_is_not_run_again() {
    let (store, task) = (store(), task());
    claimed(&store, &task, NO_LEASE).await;
    store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
    next_millisecond().await;
    let claim = store.claim(&task, LEASE, WORKER).await.unwrap();
    assert!(matches!(claim, ClaimOutcome::Ended));
    assert_eq!(record(&store, &task).await.state, State::Cancelled);
}

#[tokio::test]
async fn a_task_expires_unless_it_has_begun() {
    let (store, task) = (store(), task());
    store.submitted(&task).await.unwrap();
    assert!(store.expire(&task).await.unwrap());
    assert_eq!(record(&store, &task).await.state, State::Expired);
    assert!(!store.expire(&task).await.unwrap(), "the task has ended");

    let running = another_task();
    claimed(&store, &running, LEASE).await;
    assert!(!store.expire(&running).await.unwrap());

    let unrecorded = another_task();
    assert!(store.expire(&unrecorded).await.unwrap());
    let record = record(&store, &unrecorded).await;
    assert_eq!(record.job.as_deref(), Some("process_data"));
}

#[tokio::test]
async fn a_task_that_ended_without_a_result_runs_again() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    store.fail(&lease, failed(&error())).await.unwrap();
    let next = next_run(&store, &task.id).await;
    assert_eq!((next.run, next.input().unwrap().get()), (2, "{}"));
    assert_eq!(store.restart(&next).await.unwrap(), Restarted::Written);
    assert_eq!(store.restart(&next).await.unwrap(), Restarted::Written);
    let fresh = record(&store, &task).await;
    assert_eq!((fresh.state, fresh.run), (State::Pending, 2));
    assert!(fresh.error.is_none() && fresh.attempts.is_empty());
    assert!(fresh.finished_at.is_none());

    let stale = store.claim(&task, LEASE, WORKER).await.unwrap();
    assert!(
        matches!(stale, ClaimOutcome::Ended),
        "a message of an earlier run"
    );
    let lease = claimed(&store, &next, LEASE).await;
    assert_eq!((lease.attempt, lease.counted), (1, 1));
    store.complete(&lease, "1").await.unwrap();
    let over = store.next_run(&Viewer::Everyone, &task.id).await.unwrap();
    assert!(matches!(over, NextRun::Refused(State::Completed)));
    let mut third = next;
    third.run = 3;
    assert_eq!(store.restart(&third).await.unwrap(), Restarted::Refused);
    let claim = store.claim(&third, LEASE, WORKER).await.unwrap();
    assert!(
        matches!(claim, ClaimOutcome::Ended),
        "a completed task never restarts"
    );
}

#[tokio::test]
async fn the_message_of_a_restart_may_arrive_before_the_record_is_written() {
    let (store, task) = (store(), task());
    store.submitted(&task).await.unwrap();
    store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
    let next = next_run(&store, &task.id).await;
    let lease = claimed(&store, &next, LEASE).await;
    assert_eq!(store.restart(&next).await.unwrap(), Restarted::Written);
    assert_eq!(record(&store, &task).await.state, State::Running);
    assert_eq!(store.complete(&lease, "1").await.unwrap(), Fenced::Written);
}

#[tokio::test]
async fn a_handed_back_attempt_does_not_count() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!(store.hand_back(&lease).await.unwrap(), Fenced::Written);
    assert_eq!(
        store.hand_back(&lease).await.unwrap(),
        Fenced::Written,
        "again"
    );
    assert_eq!(record(&store, &task).await.state, State::Pending);
    let lease = claimed(&store, &task, LEASE).await;
    assert_eq!((lease.attempt, lease.counted), (2, 1));
}

#[tokio::test]
async fn a_record_lists_every_attempt() {
    let (store, mut task) = (store(), task());
    task.options = Options {
        max_retries: Some(7),
        time_limit: Some(60),
        ..Options::default()
    };
    task.caller = Some("ada".to_owned());
    store.submitted(&task).await.unwrap();
    let first = claimed(&store, &task, LEASE).await;
    let progress = Progress {
        done: 3,
        total: Some(9),
        message: Some("a third".to_owned()),
    };
    store.extend(&first, LEASE, Some(&progress)).await.unwrap();
    store.fail(&first, retried(&error())).await.unwrap();
    let waiting = record(&store, &task).await;
    assert!(waiting.next_at.unwrap() > waiting.created_at);
    let second = claimed(&store, &task, NO_LEASE).await;
    next_millisecond().await;
    let third = claimed(&store, &task, LEASE).await;
    assert_eq!((second.attempt, third.attempt), (2, 3));
    store.complete(&third, "1").await.unwrap();

    let record = record(&store, &task).await;
    assert_eq!(record.options, task.options);
    assert_eq!(record.caller.as_deref(), Some("ada"));
    assert_eq!(record.progress, Some(progress));
    assert_eq!(record.next_at, None);
    assert_eq!(record.started_at, Some(record.attempts[0].started_at));
    assert!(record.finished_at >= record.started_at);
    check_attempts(&record);
}

/// Checks the attempts of a record: a failed, a lost and a completed attempt.
fn check_attempts(record: &TaskRecord) {
    let outcomes: Vec<_> = record
        .attempts
        .iter()
        .map(|attempt| (attempt.outcome.as_deref(), attempt.ended_at.is_some()))
        .collect();
    let lost = (None, false);
    assert_eq!(
        outcomes,
        [(Some("failed"), true), lost, (Some("completed"), true)]
    );
    assert_eq!(record.attempts[0].error, Some(error()));
    assert!(
        record
            .attempts
            .iter()
            .all(|attempt| attempt.worker.as_deref() == Some(WORKER))
    );
}

#[tokio::test]
async fn of_two_submissions_with_one_key_the_first_record_counts() {
    let store = store();
    let (mut one, id) = (task(), TaskId::from(Uuid::new_v4()));
    one.id = id;
    one.fingerprint = Some("one".to_owned());
    let mut other = one.clone();
    other.fingerprint = Some("other".to_owned());
    assert_eq!(store.submitted(&one).await.unwrap(), Submitted::Recorded);
    assert_eq!(store.submitted(&one).await.unwrap(), Submitted::Recorded);
    assert_eq!(store.submitted(&other).await.unwrap(), Submitted::Different);
    let claim = store.claim(&other, LEASE, WORKER).await.unwrap();
    assert!(
        matches!(claim, ClaimOutcome::Ended),
        "the other submission's message has no effect"
    );
    claimed(&store, &one, LEASE).await;
}

#[tokio::test]
async fn an_id_may_be_used_again_after_its_record_has_expired() {
    let client = testing::client();
    let store = TaskStore::new(client, testing::TASKS.to_owned(), Duration::ZERO);
    let task = task();
    for _ in 0..2 {
        let lease = claimed(&store, &task, LEASE).await;
        assert_eq!(lease.attempt, 1);
        store.complete(&lease, "1").await.unwrap();
    }
    assert_eq!(store.submitted(&task).await.unwrap(), Submitted::Recorded);
    assert_eq!(record(&store, &task).await.state, State::Pending);
}

#[tokio::test]
async fn a_large_input_is_kept_for_another_run() {
    let (store, id) = (store(), TaskId::from(Uuid::new_v4()));
    let text = format!("[{}]", vec!["1234567"; 100_000].join(","));
    let input = RawValue::from_string(text.clone()).unwrap();
    let mut task = Task::new(id.clone(), "process_data", input, now_ms());
    let StoredInput::Chunks(chunks @ 1..) = store.put_input(&task).await.unwrap() else {
        panic!("the input was not stored in chunks");
    };
    task.without_input(chunks);
    store.submitted(&task).await.unwrap();
    let read = store.stored_input(&task).await.unwrap().unwrap();
    assert!(read.get() == text);
    let shown = store.input(&Viewer::Everyone, &id).await.unwrap().unwrap();
    assert!(shown.get() == text);
    let stranger = Viewer::Caller("eve".to_owned());
    assert!(store.input(&stranger, &id).await.unwrap().is_none());
    store.cancel(&Viewer::Everyone, &id).await.unwrap();
    let next = next_run(&store, &id).await;
    assert!(next.input().is_none());
    store.keep_chunks(&next).await.unwrap();
    assert!(store.stored_input(&next).await.unwrap().unwrap().get() == text);
}

#[tokio::test]
async fn an_origin_is_kept_for_another_run() {
    let store = store();
    // Random digits, so that the large origin does not fit the record even when compressed.
    let large: Vec<u64> = std::iter::repeat_with(|| fastrand::u64(..))
        .take(50_000)
        .collect();
    for data in [json!({"chain": [1.0]}), json!({"chain": large})] {
        let mut task = task();
        let text = RawValue::from_string(data.to_string()).unwrap();
        task.origin = Some(Origin::new("celery", Vec::new(), text));
        store.put_large(&mut task).await.unwrap();
        task.without_stored_over(60_000);
        let mut received = task.clone();
        assert!(store.read_origin(&mut received).await.unwrap());
        let lease = claimed(&store, &received, LEASE).await;
        store.fail(&lease, failed(&error())).await.unwrap();
        let record = store.get(&task.id).await.unwrap().unwrap();
        assert_eq!(record.origin.as_deref(), Some("celery"));
        let mut next = next_run(&store, &task.id).await;
        store.keep_chunks(&next).await.unwrap();
        assert!(store.read_origin(&mut next).await.unwrap());
        let origin = next.origin.unwrap();
        assert_eq!(origin.format, "celery");
        assert!(origin.data().unwrap().get() == data.to_string().as_str());
    }
}

#[tokio::test]
async fn the_next_attempt_reads_checkpoints_and_a_lost_lease_saves_none() {
    let (store, task) = (store(), task());
    let first = claimed(&store, &task, NO_LEASE).await;
    assert_eq!(store.save(&first, 0, "[1]").await.unwrap(), Fenced::Written);
    assert_eq!(store.save(&first, 1, "[2]").await.unwrap(), Fenced::Written);
    next_millisecond().await;
    let second = claimed(&store, &task, LEASE).await;
    assert_eq!(store.save(&first, 1, "[9]").await.unwrap(), Fenced::Lost);
    assert_eq!(
        store.save(&second, 2, "[3]").await.unwrap(),
        Fenced::Written
    );
    let saved = store.saved(&second).await.unwrap();
    let expected = [(0, "[1]"), (1, "[2]"), (2, "[3]")];
    assert_eq!(
        saved,
        expected.map(|(piece, json)| (piece, json.to_owned()))
    );
}
