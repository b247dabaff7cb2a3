//! Tasks whose messages cannot be processed.

use super::*;

async fn state_of(store: &TaskStore, id: &TaskId) -> State {
    store.get(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_rejected_task_fails_and_can_run_again() {
    let (store, task) = (store(), task());
    for expected in [Rejected::Written, Rejected::Repeated] {
        let rejected = store.reject(&task, &error()).await.unwrap();
        assert_eq!(rejected, expected);
    }
    let record = store.get(&task.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.error), (State::Failed, Some(error())));
    let next = next_run(&store, &task.id).await;
    assert_eq!((next.run, next.input().unwrap().get()), (2, "{}"));
}

#[tokio::test]
async fn a_running_or_ended_task_is_not_rejected() {
    let (store, task) = (store(), task());
    let lease = claimed(&store, &task, LEASE).await;
    let held = store.reject(&task, &error()).await.unwrap();
    assert!(matches!(held, Rejected::Held { ends_in } if ends_in > LEASE / 2));
    let held = store.reject_id(&task.id, &error()).await.unwrap();
    assert!(matches!(held, Rejected::Held { .. }), "{held:?}");
    store.complete(&lease, "1").await.unwrap();
    assert_eq!(
        store.reject(&task, &error()).await.unwrap(),
        Rejected::Ended
    );
    assert_eq!(
        store.reject_id(&task.id, &error()).await.unwrap(),
        Rejected::Ended
    );
    assert_eq!(state_of(&store, &task.id).await, State::Completed);
}

#[tokio::test]
async fn a_task_whose_worker_died_is_rejected() {
    let (store, task) = (store(), task());
    claimed(&store, &task, NO_LEASE).await;
    next_millisecond().await;
    assert_eq!(
        store.reject(&task, &error()).await.unwrap(),
        Rejected::Written
    );
    assert_eq!(state_of(&store, &task.id).await, State::Failed);
}

#[tokio::test]
async fn a_rejected_task_with_an_accepted_cancellation_ends_as_cancelled() {
    for by_id in [false, true] {
        let (store, task) = (store(), task());
        claimed(&store, &task, NO_LEASE).await;
        store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
        next_millisecond().await;
        let rejected = match by_id {
            true => store.reject_id(&task.id, &error()).await.unwrap(),
            false => store.reject(&task, &error()).await.unwrap(),
        };
        assert_eq!(rejected, Rejected::Ended);
        assert_eq!(state_of(&store, &task.id).await, State::Cancelled);
    }
}

#[tokio::test]
async fn a_task_fails_if_only_its_id_is_readable() {
    let (store, id) = (store(), TaskId::from(Uuid::new_v4()));
    for expected in [Rejected::Written, Rejected::Repeated] {
        let rejected = store.reject_id(&id, &error()).await.unwrap();
        assert_eq!(rejected, expected);
    }
    assert_eq!(state_of(&store, &id).await, State::Failed);
    let next = store.next_run(&Viewer::Everyone, &id).await.unwrap();
    assert!(matches!(next, NextRun::WithoutInput), "{next:?}");
}

#[tokio::test]
async fn a_rejection_affects_only_the_run_of_its_message() {
    let (store, first) = (store(), task());
    let lease = claimed(&store, &first, LEASE).await;
    store.fail(&lease, failed(&error())).await.unwrap();
    let second = next_run(&store, &first.id).await;
    store.restart(&second).await.unwrap();
    let other = TaskError::new("Other", "of an earlier run");
    assert_eq!(store.reject(&first, &other).await.unwrap(), Rejected::Ended);
    assert_eq!(state_of(&store, &first.id).await, State::Pending);

    // The message of a restart may arrive before the record is written.
    let lease = claimed(&store, &second, LEASE).await;
    store.fail(&lease, failed(&error())).await.unwrap();
    let third = next_run(&store, &first.id).await;
    assert_eq!(
        store.reject(&third, &other).await.unwrap(),
        Rejected::Written
    );
    let record = store.get(&first.id).await.unwrap().unwrap();
    assert_eq!((record.run, record.error), (3, Some(other)));
}
