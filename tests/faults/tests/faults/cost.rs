//! The number of calls to AWS for one task.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::observer::Counts;
use crate::service::Service;

/// The number of measured tasks.
const TASKS: u64 = 200;

/// The longest time for all tasks.
const PATIENCE: Duration = Duration::from_secs(60);

/// A task needs one send, one put, two updates, its share of its batch's visibility timeout and of its batch's
/// write to the numbers of tasks, and no read.
pub fn of_a_small_task_is_four_calls(service: &Service) {
    // The first call of a function starts its process, and the first batch starts a worker.
    submit(service, 0);
    assert!(service.eventually(PATIENCE, || service.queued() == 0));

    let before = service.observer().counts();
    thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || (0..TASKS / 8).for_each(|n| submit(service, client * 1000 + n)));
        }
    });
    // The test must not call the service in the meantime, because the service would read the table.
    let ended = || service.observer().counts().writes("completed") - before.writes("completed");
    let in_time = service.eventually(PATIENCE, || ended() == TASKS && service.queued() == 0);
    assert!(in_time, "only {} tasks have completed", ended());

    check(&service.observer().counts().since(&before));
}

fn check(cost: &Counts) {
    println!("{TASKS} small tasks cost: {:?}", cost.calls);
    println!("  retries of the SDK: {:?}", cost.tries);
    let (writes, refused) = (&cost.writes, &cost.refused);
    println!("  writes to records: {writes:?}, refused: {refused:?}");
    println!(
        "  visibility timeouts: {} calls for {} new messages, {} calls for other messages",
        cost.first_changes, cost.new_receipts, cost.later_changes
    );
    assert_eq!(cost.calls("SendMessage"), TASKS);
    assert_eq!(cost.calls("PutItem"), TASKS);
    assert_eq!(cost.writes("running"), TASKS, "claims");
    assert_eq!(cost.writes("completed"), TASKS, "results");
    // On a busy machine a task may need a heartbeat, and a late acknowledgement may cause a second
    // delivery. Both are counted, and must be rare.
    let heartbeats = cost.writes("heartbeat");
    let again = cost.new_receipts - TASKS;
    let updates = 2 * TASKS + heartbeats + again + cost.numbers;
    assert_eq!(cost.calls("UpdateItem"), updates);
    let batches = cost.first_changes;
    assert!(
        cost.numbers <= batches,
        "{} writes to numbers for {batches} batches",
        cost.numbers
    );
    assert!(heartbeats <= TASKS / 10, "{heartbeats} heartbeats");
    assert!(again <= TASKS / 10, "{again} messages were delivered again");
    let changes = cost.calls("ChangeMessageVisibilityBatch");
    assert_eq!(changes, cost.first_changes + cost.later_changes);
    assert!(
        cost.later_changes <= cost.first_changes,
        "{} more changes of visibility timeouts",
        cost.later_changes
    );
    let other = cost.calls.keys().filter(|operation| {
        !matches!(
            operation.as_str(),
            "SendMessage" | "PutItem" | "UpdateItem" | "ChangeMessageVisibilityBatch"
        )
    });
    let other: Vec<&String> = other.collect();
    assert!(
        other.is_empty(),
        "calls that no small task needs: {other:?}"
    );
}

fn submit(service: &Service, n: u64) {
    let task = json!({"job": "process_data", "input": {"values": [n, n + 1, n + 2]}});
    let answer = service.ask("POST", "/tasks/", None, &task.to_string());
    assert!(
        answer.as_ref().is_some_and(|answer| answer.status == 202),
        "{answer:?}"
    );
}
