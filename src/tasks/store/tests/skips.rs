//! Times of schedules that are skipped because the task of the time before has not ended.

use super::*;
use crate::tasks::task::Scheduled;

fn time_after(after: Option<&TaskId>) -> Task {
    let mut task = task();
    task.schedule = Some(Scheduled {
        name: "nightly".to_owned(),
        after: after.cloned(),
    });
    task
}

#[tokio::test]
async fn a_time_is_skipped_while_the_task_before_has_not_ended() {
    let store = store();
    let first = time_after(None);
    assert!(!store.skip_overlapping(&first).await.unwrap());
    let lease = claimed(&store, &first, LEASE).await;
    let second = time_after(Some(&first.id));
    store.submitted(&second).await.unwrap();
    assert!(store.skip_overlapping(&second).await.unwrap());
    let record = store.get(&second.id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Expired);
    let error = record.error.unwrap();
    assert_eq!(error.kind, "Overlap");
    assert!(error.message.contains(first.id.as_str()), "{error:?}");
    // The third time looks at the task that the second time was skipped for. Its message comes first.
    let third = time_after(Some(&second.id));
    assert!(store.skip_overlapping(&third).await.unwrap());
    store.complete(&lease, "1").await.unwrap();
    let fourth = time_after(Some(&third.id));
    assert!(!store.skip_overlapping(&fourth).await.unwrap());
    assert!(matches!(
        store.claim(&fourth, LEASE, WORKER).await.unwrap(),
        ClaimOutcome::Claimed(_)
    ));
}

#[tokio::test]
async fn a_task_that_has_begun_is_not_skipped() {
    let store = store();
    let first = time_after(None);
    let second = time_after(Some(&first.id));
    claimed(&store, &second, NO_LEASE).await;
    // The first time runs again, as by its owner's wish.
    claimed(&store, &first, LEASE).await;
    next_millisecond().await;
    assert!(!store.skip_overlapping(&second).await.unwrap());
    assert_eq!(claimed(&store, &second, LEASE).await.attempt, 2);
}

#[tokio::test]
async fn a_skipped_task_may_run_again() {
    let store = store();
    let first = time_after(None);
    claimed(&store, &first, LEASE).await;
    let second = time_after(Some(&first.id));
    assert!(store.skip_overlapping(&second).await.unwrap());
    let again = next_run(&store, &second.id).await;
    assert_eq!(again.schedule.as_ref().unwrap().after, None);
    store.restart(&again).await.unwrap();
    assert!(!store.skip_overlapping(&again).await.unwrap());
    let lease = claimed(&store, &again, LEASE).await;
    // The third time waits for the second, which is no longer skipped.
    let third = time_after(Some(&second.id));
    assert!(store.skip_overlapping(&third).await.unwrap());
    store.complete(&lease, "1").await.unwrap();
}
