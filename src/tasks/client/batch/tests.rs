use serde_json::value::RawValue;
use uuid::Uuid;

use super::*;
use crate::dynamodb::StoreError;
use crate::tasks::client::testing::{World, new_task};
use crate::tasks::state::State;

/// A task with an idempotency key.
fn keyed(key: u128, fingerprint: &str) -> Task {
    let mut task = new_task("mail", Some("ada"));
    task.id = TaskId::from(Uuid::from_u128(key));
    task.fingerprint = Some(fingerprint.to_owned());
    task
}

/// The outcomes as words: the end of the id, or the error.
fn words(outcomes: &[Result<Accepted, SubmitError>]) -> Vec<String> {
    let word = |outcome: &Result<Accepted, SubmitError>| match outcome {
        Ok(accepted) => accepted.id.as_str()[35..].to_owned(),
        Err(SubmitError::Different) => "different".to_owned(),
        Err(SubmitError::TooLarge) => "too large".to_owned(),
        Err(SubmitError::Store(_)) => "table".to_owned(),
        Err(SubmitError::Queue(_)) => "queue".to_owned(),
    };
    outcomes.iter().map(word).collect()
}

#[tokio::test]
async fn a_large_batch_is_sent_ten_messages_by_a_call_and_recorded() {
    let world = World::new();
    let tasks: Vec<Task> = (0..35).map(|_| new_task("mail", Some("ada"))).collect();
    let outcomes = world.submitter().submit_all(tasks.clone()).await;
    for (task, outcome) in tasks.iter().zip(outcomes) {
        assert_eq!(outcome.unwrap(), Accepted::of(task));
        assert_eq!(world.state(task).await, State::Pending);
    }
    assert_eq!(world.messages(), 35);
    let calls = ["PutItem", "BatchGetItem"].map(|name| world.faults.calls(name));
    assert_eq!(calls, [35, 0]);
}

#[tokio::test]
async fn a_repeated_batch_with_keys_is_harmless() {
    let world = World::new();
    let batch = || vec![keyed(1, "a"), keyed(2, "b"), keyed(3, "c")];
    let first = world.submitter().submit_all(batch()).await;
    assert_eq!(words(&first), ["1", "2", "3"]);
    assert_eq!(world.messages(), 3);
    let mut again = batch();
    again[1].fingerprint = Some("other".to_owned());
    again.push(keyed(4, "d"));
    let again = world.submitter().submit_all(again).await;
    assert_eq!(words(&again), ["1", "different", "3", "4"]);
    assert_eq!(world.messages(), 1, "only the new task is sent");
    assert_eq!(world.faults.calls("BatchGetItem"), 2);
}

#[tokio::test]
async fn of_two_tasks_with_one_key_the_first_in_the_batch_is_accepted() {
    let world = World::new();
    let mut same = keyed(1, "a");
    same.options.eta = Some(now_ms() + 60_000);
    let eta = same.options.eta;
    let mut later = same.clone();
    later.options.eta = eta.map(|eta| eta + 5);
    let batch = vec![same, keyed(1, "b"), later, keyed(2, "a"), keyed(1, "b")];
    let outcomes = world.submitter().submit_all(batch).await;
    assert_eq!(words(&outcomes), ["1", "different", "1", "2", "different"]);
    let answers: Vec<_> = outcomes.iter().flatten().map(|one| one.eta).collect();
    assert_eq!(
        answers,
        [eta, eta, None],
        "the same submission has the same answer"
    );
    assert_eq!(world.queue.sent(), 2);
}

#[tokio::test]
async fn an_error_of_one_task_does_not_hinder_the_others() {
    let world = World::new();
    let mut large = new_task("mail", None);
    let text = format!("\"{}\"", "x".repeat(crate::tasks::store::MAX_INPUT));
    large.set_input(RawValue::from_string(text).unwrap());
    let (mut one, two) = (new_task("mail", None), new_task("mail", None));
    one.id = TaskId::from(Uuid::from_u128(1));
    let mut other = two;
    other.id = TaskId::from(Uuid::from_u128(2));
    let outcomes = world.submitter().submit_all(vec![one, large, other]).await;
    assert_eq!(words(&outcomes), ["1", "too large", "2"]);
}

#[tokio::test]
async fn tasks_with_keys_fail_if_the_table_does_not_say_whether_they_are_new() {
    let world = World::new();
    world.faults.fail("BatchGetItem");
    let plain = new_task("mail", None);
    let batch = vec![keyed(1, "a"), plain.clone()];
    let outcomes = world.submitter().submit_all(batch).await;
    assert!(matches!(
        outcomes[0],
        Err(SubmitError::Store(StoreError::Call(_)))
    ));
    assert_eq!(outcomes[1].as_ref().unwrap().id, plain.id);
    assert_eq!(world.messages(), 1);
}
