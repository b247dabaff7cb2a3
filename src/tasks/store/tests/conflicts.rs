//! Writes that DynamoDB refuses because a transaction is changing the same row.

use serde_json::{Value, json};

use super::*;
/// What a transaction is refused with, with a reason's code for each of its writes.
fn transaction_refusal(codes: [&str; 2]) -> Value {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
        "CancellationReasons": codes.map(|code| json!({"Code": code})),
    })
}

/// What a single write is refused with.
fn write_refusal() -> Value {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        "message": "Transaction is ongoing for the item",
    })
}

#[tokio::test]
async fn a_save_that_meets_another_write_is_repeated() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    let lease = claimed(&store, &task, LEASE).await;
    faults.refuse(
        "TransactWriteItems",
        transaction_refusal(["TransactionConflict", "None"]),
    );
    faults.refuse(
        "TransactWriteItems",
        transaction_refusal(["ThrottlingError", "TransactionConflict"]),
    );
    assert_eq!(store.save(&lease, 0, "[1]").await.unwrap(), Fenced::Written);
    assert_eq!(faults.calls("TransactWriteItems"), 3);
    let saved = store.saved(&lease).await.unwrap();
    assert_eq!(saved, [(0, "[1]".to_owned())]);
}

#[tokio::test]
async fn a_lost_lease_is_lost_although_another_write_conflicts() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    let lease = claimed(&store, &task, LEASE).await;
    faults.refuse(
        "TransactWriteItems",
        transaction_refusal(["ConditionalCheckFailed", "TransactionConflict"]),
    );
    assert_eq!(store.save(&lease, 0, "[1]").await.unwrap(), Fenced::Lost);
    assert_eq!(faults.calls("TransactWriteItems"), 1);
}

#[tokio::test]
async fn a_conflict_that_does_not_end_is_given_up() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    let lease = claimed(&store, &task, LEASE).await;
    for _ in 0..20 {
        let refusal = transaction_refusal(["TransactionConflict", "None"]);
        faults.refuse("TransactWriteItems", refusal);
    }
    let saved = store.save(&lease, 0, "[1]").await;
    assert!(matches!(saved, Err(StoreError::Call(_))), "{saved:?}");
    let calls = faults.calls("TransactWriteItems");
    assert!((2..=4).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn a_cancel_that_meets_a_save_is_repeated() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    claimed(&store, &task, LEASE).await;
    for _ in 0..2 {
        faults.refuse("UpdateItem", write_refusal());
    }
    let cancelled = store.cancel(&Viewer::Everyone, &task.id).await.unwrap();
    assert_eq!(cancelled, Cancelled::Requested);
}

#[tokio::test]
async fn a_put_that_meets_a_transaction_is_repeated() {
    let faults = Faults::default();
    let (store, task) = (faulty(&faults), task());
    faults.refuse("PutItem", write_refusal());
    assert_eq!(store.submitted(&task).await.unwrap(), Submitted::Recorded);
    let record = store.get(&task.id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Pending);
    assert_eq!(faults.calls("PutItem"), 2);
}
