//! Owners of rows: submissions that share a key, attempts that share a task, tasks that share an id.

use super::*;
use crate::tasks::task::Options;

/// A submission with an idempotency key. All these submissions have one id.
fn keyed(input: &str, fingerprint: &str) -> Task {
    let input = RawValue::from_string(format!("\"{input}\"")).unwrap();
    let mut task = Task::new(Uuid::from_u128(7), "process_data", input, now_ms());
    task.fingerprint = Some(fingerprint.to_owned());
    task
}

#[tokio::test]
async fn another_submission_with_the_same_key_does_not_overwrite_the_input() {
    let store = store();
    let mut first = keyed(&"a".repeat(2_000), "first");
    let other = keyed(&"b".repeat(2_000), "other");
    assert_eq!(
        store.put_input(&first).await.unwrap(),
        StoredInput::Chunks(1)
    );
    assert_eq!(
        store.put_input(&other).await.unwrap(),
        StoredInput::Different
    );
    assert_eq!(
        store.put_input(&first).await.unwrap(),
        StoredInput::Chunks(1),
        "again"
    );
    let sent = first.input().unwrap().to_owned();
    first.without_input(1);
    let stored = store.stored_input(&first).await.unwrap().unwrap();
    assert_eq!(stored.get(), sent.get());
}

#[tokio::test]
async fn a_message_of_another_submission_does_not_change_the_first_task() {
    let store = store();
    let first = keyed("a", "first");
    store.submitted(&first).await.unwrap();
    let other = keyed("b", "other").with_options(Options {
        expires: Some(now_ms()),
        ..Options::default()
    });
    assert!(!store.expire(&other).await.unwrap());
    assert_eq!(
        store.reject(&other, &error()).await.unwrap(),
        Rejected::Ended
    );
    let claim = store.claim(&other, LEASE, WORKER).await.unwrap();
    assert!(matches!(claim, ClaimOutcome::Ended));
    let record = store.get(&first.id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Pending);
}

/// A result that is too large for the record.
fn large(letter: &str) -> String {
    format!("\"{}\"", letter.repeat(20_000))
}

#[tokio::test]
async fn a_late_result_is_not_mixed_into_the_result_of_another_run() {
    let (store, task) = (store(), task());
    let zombie = claimed(&store, &task, NO_LEASE).await;
    next_millisecond().await;
    let second = claimed(&store, &task, LEASE).await;
    store.fail(&second, failed(&error())).await.unwrap();
    let again = next_run(&store, &task.id).await;
    store.restart(&again).await.unwrap();
    // Both attempts are the first attempt of their run.
    let lease = claimed(&store, &again, LEASE).await;
    assert_eq!((zombie.attempt, lease.attempt), (1, 1));
    store.complete(&lease, &large("a")).await.unwrap();
    let late = store.complete(&zombie, &large("b")).await.unwrap();
    assert_eq!(late, Fenced::Lost);
    let record = store.get(&task.id).await.unwrap().unwrap();
    assert!(record.result.unwrap().get() == large("a"));
}

#[tokio::test]
async fn a_later_task_with_the_same_id_does_not_read_old_checkpoints() {
    let store = store();
    let mut first = task();
    first.submitted_at -= 1_000;
    let lease = claimed(&store, &first, LEASE).await;
    store.save(&lease, 0, "[1]").await.unwrap();
    assert_eq!(store.saved(&lease).await.unwrap().len(), 1);
    // The first task's record is deleted before its checkpoints.
    let client = &store.client;
    let delete = client.delete_item().table_name(testing::TASKS);
    delete
        .set_key(Some(key(&first.id, RECORD)))
        .send()
        .await
        .unwrap();
    let mut second = task();
    second.id = first.id;
    let lease = claimed(&store, &second, LEASE).await;
    assert!(store.saved(&lease).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_duplicate_message_does_not_shorten_the_backoff() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    let error = error();
    let failure = TaskFailure::new(&error, Some(Duration::from_secs(30)));
    store.fail(&lease, failure).await.unwrap();
    let early = store.claim(&task, LEASE, WORKER).await.unwrap();
    let ClaimOutcome::Held { ends_in } = early else {
        panic!("claimed before the end of the backoff: {early:?}");
    };
    assert!(ends_in > Duration::from_secs(25), "{ends_in:?}");
    let due = now_ms() + 30_000;
    let claim = store.claim_at(&task, LEASE, WORKER, due).await.unwrap();
    assert!(matches!(claim, ClaimOutcome::Claimed(_)), "{claim:?}");
}
