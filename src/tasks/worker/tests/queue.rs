//! A task's calls to the queue and the table, and the renewal of an old message.

use super::*;
use crate::tasks::client::Submitter;

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
    assert_eq!(counts, [10, 20, 0, 0, 0]);
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
