//! Batches of messages, from the delivery to the records.

mod effects;
mod fixture;
mod poison;
mod queue;
mod remote;
mod stops;
mod trace;
mod world;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::testing::sqs_client;
use super::*;
use crate::clock::stopped;
use crate::dynamodb::testing::{self, Faults};
use crate::tasks::context::TaskContext;
use crate::tasks::job::Job;
use crate::tasks::job::JobError;
use crate::tasks::queue::DeadLetters;
use crate::tasks::retry::RetryPolicy;
use crate::tasks::state::State;
use crate::tasks::store::Fenced;
use crate::tasks::store::testing::{ends, steal};
use crate::tasks::viewer::Viewer;
use crate::tasks::wire;
use fixture::*;

const LEASE: Duration = Duration::from_secs(60);
const SHORT_LEASE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_batch_reports_exactly_the_messages_to_deliver_again() {
    use State::*;
    let fixture = fixture(LEASE);
    let cases = [
        ("good", "echo", json!({"a": 1}), Completed, ""),
        ("transient", "fails", json!("transient"), Retrying, "Busy"),
        ("permanent", "fails", json!("permanent"), Failed, "Wrong"),
        ("panic", "fails", json!("panic"), Failed, "Panicked"),
        ("wrong", "fails", json!(5), Failed, "InvalidInput"),
        ("unknown", "nothing", json!(1), Failed, "UnknownJob"),
    ];
    let mut batch = vec![("empty", String::new())];
    let mut ends = Vec::new();
    for (name, job, input, state, error) in cases {
        let (id, body) = task(job, input);
        batch.push((name, body));
        let error = Some(error.to_owned()).filter(|error| !error.is_empty());
        ends.push((id, (state, error)));
    }
    assert_eq!(fixture.run(&batch, LEASE).await, ["transient"]);
    for (id, end) in ends {
        assert_eq!(fixture.ended(&id).await, end);
    }
    let receipts = ["receipt-transient", "receipt-good"];
    let timeouts = receipts.map(|receipt| fixture.calls.visibility_timeout(receipt));
    assert_eq!(timeouts, [Some(7), Some(60)]);
    let dead_letters = fixture.calls.of("SendMessage");
    assert_eq!(dead_letters.len(), 2, "{dead_letters:?}");
    let reason = |sent: &Value| sent["MessageAttributes"]["reason"]["StringValue"].clone();
    let unknown = json!("there is no job named \"nothing\"");
    assert!(dead_letters.iter().map(reason).any(|text| text == unknown));
}

#[tokio::test]
async fn an_empty_batch_succeeds() {
    assert!(fixture(LEASE).run(&[], LEASE).await.is_empty());
}

#[tokio::test]
async fn a_duplicate_message_of_an_ended_task_is_acknowledged() {
    let fixture = fixture(LEASE);
    let (id, body) = task("echo", json!(1));
    assert!(fixture.run(&[("a", body.clone())], LEASE).await.is_empty());
    assert!(
        fixture
            .run(&[("b", body.clone()), ("c", body)], LEASE)
            .await
            .is_empty()
    );
    assert_eq!(fixture.runs.load(Ordering::Relaxed), 1);
    assert_eq!(fixture.ended(&id).await.0, State::Completed);
}

#[tokio::test]
async fn a_duplicate_message_of_a_running_task_waits_for_the_end_of_the_lease() {
    let fixture = fixture(LEASE);
    let (_, body) = task("echo", json!(1));
    let claimed = wire::decode(&body, now_ms()).unwrap();
    fixture
        .worker
        .tasks
        .claim(&claimed, Duration::from_secs(30), "another worker")
        .await
        .unwrap();
    assert_eq!(fixture.run(&[("a", body)], LEASE).await, ["a"]);
    let timeout = fixture.calls.visibility_timeout("receipt-a").unwrap();
    assert!((25..=30).contains(&timeout), "{timeout}");
    assert_eq!(fixture.runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_task_whose_workers_die_fails_after_its_last_attempt() {
    let fixture = fixture(LEASE);
    let (id, body) = task("fails", json!("transient"));
    let message = wire::decode(&body, now_ms()).unwrap();
    // Two attempts are allowed; two workers claim the task and die.
    for _ in 0..2 {
        fixture
            .worker
            .tasks
            .claim(&message, Duration::ZERO, "another worker")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
    assert_eq!(
        fixture.ended(&id).await,
        (State::Failed, Some("WorkerLost".to_owned()))
    );
}

#[tokio::test]
async fn only_tasks_that_are_unfinished_at_the_deadline_are_delivered_again() {
    let fixture = fixture(LEASE);
    let (finished, finished_body) = task("echo", json!(1));
    let (unfinished, unfinished_body) = task("endless", Value::Null);
    let time = Duration::from_millis(100);
    let again = fixture
        .run(&[("f", finished_body), ("u", unfinished_body)], time)
        .await;
    assert_eq!(again, ["u"]);
    assert_eq!(fixture.calls.visibility_timeout("receipt-u"), Some(0));
    assert_eq!(fixture.ended(&finished).await.0, State::Completed);
    assert_eq!(
        fixture.ended(&unfinished).await,
        (State::Retrying, Some("OutOfTime".to_owned()))
    );
}

#[tokio::test]
async fn heartbeats_extend_the_lease_and_the_visibility_timeout() {
    let fixture = fixture(SHORT_LEASE);
    let (_, body) = task("endless", Value::Null);
    let message = wire::decode(&body, now_ms()).unwrap();
    let batch = [("a", body)];
    let running = fixture.run(&batch, SHORT_LEASE * 4);
    let other = async {
        tokio::time::sleep(SHORT_LEASE * 2).await;
        fixture
            .worker
            .tasks
            .claim(&message, SHORT_LEASE, "another worker")
            .await
            .unwrap()
    };
    let (again, claim) = tokio::join!(running, other);
    assert!(matches!(claim, ClaimOutcome::Held { .. }), "{claim:?}");
    assert_eq!(again, ["a"]);
    assert!(fixture.calls.of("ChangeMessageVisibilityBatch").len() >= 3);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_stops_and_leaves_the_message() {
    let fixture = fixture(SHORT_LEASE);
    let (id, body) = task("endless", Value::Null);
    let message = wire::decode(&body, now_ms()).unwrap();
    let batch = [("a", body)];
    let running = fixture.run(&batch, Duration::from_secs(3600));
    let thief = async {
        // The clock of another worker is an hour ahead, so the lease looks lost to that worker.
        tokio::time::sleep(SHORT_LEASE / 6).await;
        steal(&fixture.worker.tasks, &message).await
    };
    let (again, thief) = tokio::join!(running, thief);
    assert_eq!(again, ["a"]);
    assert_eq!(fixture.ended(&id).await.0, State::Running);
    assert_eq!(
        fixture.worker.tasks.complete(&thief, "1").await.unwrap(),
        Fenced::Written
    );
}

#[tokio::test]
async fn a_table_that_does_not_answer_leaves_the_message() {
    let fixture = fixture(LEASE);
    let (_, body) = task("echo", json!(1));
    fixture.faults.fail("UpdateItem");
    assert_eq!(fixture.run(&[("a", body.clone())], LEASE).await, ["a"]);
    assert_eq!(fixture.runs.load(Ordering::Relaxed), 0);
    fixture.faults.mend();
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_fails_its_task_with_the_reason() {
    let fixture = fixture(LEASE);
    let (id, body) = task("large", json!(6_000_000));
    assert!(fixture.run(&[("a", body)], LEASE).await.is_empty());
    assert_eq!(
        fixture.ended(&id).await,
        (State::Failed, Some("ResultTooLarge".to_owned()))
    );
}

#[test]
fn a_part_of_the_invocation_is_reserved_for_the_final_writes() {
    assert_eq!(working_time(u64::MAX, 0), Duration::from_secs(895));
    assert_eq!(working_time(300_000, 0), Duration::from_secs(295));
    assert_eq!(working_time(1_010, 10), Duration::from_millis(900));
    assert_eq!(
        working_time(600, 1_700_000_000_000),
        Duration::from_secs(295),
        "no deadline"
    );
}
