//! A task's calls to the queue and the table, and the renewal of an old message.

use super::*;
use crate::tasks::client::Submitter;
use crate::tasks::counts::{CountStore, minute_of};

#[tokio::test]
async fn ten_successful_small_tasks_make_the_calls_of_the_budget() {
    let fixture = fixture(LEASE);
    let tasks = fixture.worker.tasks.clone();
    let submitter = Submitter::new(fixture.worker.queue.clone(), tasks, None);
    for _ in 0..10 {
        let input = RawValue::from_string("{}".to_owned()).unwrap();
        let task = Task::new(Uuid::new_v4(), Echo::NAME, input, now_ms());
        submitter.submit(task).await.unwrap();
    }
    let sent = fixture.calls.of("SendMessage");
    let body = |sent: &Value| sent["MessageBody"].as_str().unwrap().to_owned();
    let ids: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let batch: Vec<(&str, String)> = ids
        .iter()
        .zip(&sent)
        .map(|(id, sent)| (id.as_str(), body(sent)))
        .collect();
    assert!(fixture.run(&batch, LEASE).await.is_empty());
    // Lambda itself receives and deletes messages. The first heartbeat is due after a third of the
    // lease.
    let to_sqs = ["SendMessage", "ChangeMessageVisibilityBatch"];
    assert_eq!(to_sqs.map(|call| fixture.calls.of(call).len()), [10, 1]);
    let to_dynamodb = ["PutItem", "UpdateItem", "GetItem", "Query", "BatchGetItem"];
    let counts = to_dynamodb.map(|call| fixture.faults.calls(call));
    // Two updates for each task, and one for the numbers of the batch.
    assert_eq!(counts, [10, 21, 0, 0, 0]);
    let minute = minute_of(now_ms());
    let rows = fixture.worker.tasks.counts();
    let minutes = rows.minutes(minute - 1, minute + 1, true).await.unwrap();
    let counted: u64 = minutes
        .values()
        .map(|counts| counts.jobs[Echo::NAME].ended(State::Completed))
        .sum();
    assert_eq!(counted, 10);
}

#[tokio::test]
async fn a_batch_whose_numbers_are_not_written_is_done_all_the_same() {
    let fixture = fixture(LEASE);
    let (id, body) = task("echo", json!(1));
    fixture.run(&[("a", body.clone())], LEASE).await;
    let before = fixture.faults.calls("UpdateItem");
    assert!(fixture.run(&[("b", body)], LEASE).await.is_empty());
    let refused = fixture.faults.calls("UpdateItem") - before;
    assert_eq!(
        refused, 1,
        "a duplicate is a refused claim, and nothing to count"
    );
    assert_eq!(fixture.ended(&id).await.0, State::Completed);

    let (id, body) = task("echo", json!(1));
    let broken = Faults::default();
    broken.fail("UpdateItem");
    let rows = CountStore::new(testing::faulty(&broken), testing::TASKS.to_owned());
    let counter = Counter::new(rows);
    let worker = Worker {
        counter,
        ..fixture.worker
    };
    let delivery = Delivery {
        id: "c".to_owned(),
        body,
        ..Delivery::default()
    };
    assert!(worker.run_batch(vec![delivery], u64::MAX).await.is_empty());
    assert_eq!(
        broken.calls("UpdateItem"),
        1,
        "a call that may be done is not repeated"
    );
    let record = worker.tasks.get(&id).await.unwrap().unwrap();
    assert_eq!(record.state, State::Completed);
}

#[tokio::test]
async fn a_message_near_the_end_of_its_retention_is_sent_again() {
    let fixture = fixture(LEASE);
    let (_, body) = task("fails", json!("transient"));
    let thirteen_days = 13 * 24 * 3_600_000;
    let old = Delivery {
        id: "old".to_owned(),
        receipt: "receipt-old".to_owned(),
        body: body.clone(),
        sent_at: Some(now_ms() - thirteen_days),
        ..Delivery::default()
    };
    let again = fixture.worker.run_batch(vec![old], u64::MAX).await;
    assert!(again.is_empty(), "the old message is acknowledged");
    let sent = fixture.calls.of("SendMessage");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["MessageBody"], json!(body));
    assert_eq!(sent[0]["DelaySeconds"], json!(7));
}
