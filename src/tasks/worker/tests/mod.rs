//! Batches, from their messages to their records.

mod poison;
mod queue;
mod stops;
mod world;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::value::RawValue;
use serde_json::{Value, json};

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

const LEASE: Duration = Duration::from_secs(60);
const SHORT_LEASE: Duration = Duration::from_millis(150);

/// A queue that takes every call and remembers it.
#[derive(Debug, Clone, Default)]
struct Calls(Arc<Mutex<Vec<(String, Value)>>>);

impl HttpConnector for Calls {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        self.0.lock().unwrap().push((operation, body));
        let answer = json!({"Successful": [], "Failed": [], "MessageId": "m"}).to_string();
        let status = 200.try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.into())))
    }
}

/// The real client on what stands for SQS.
fn sqs_client(endpoint: impl HttpConnector + 'static) -> aws_sdk_sqs::Client {
    let connector = SharedHttpConnector::new(endpoint);
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    aws_sdk_sqs::Client::from_conf(config.build())
}

impl Calls {
    fn client(&self) -> aws_sdk_sqs::Client {
        sqs_client(self.clone())
    }

    fn of(&self, operation: &str) -> Vec<Value> {
        let calls = self.0.lock().unwrap();
        calls
            .iter()
            .filter(|(name, _)| name == operation)
            .map(|(_, body)| body.clone())
            .collect()
    }

    /// The time for which a message was last hidden, in seconds.
    fn hidden(&self, receipt: &str) -> Option<u64> {
        let calls = self.of("ChangeMessageVisibilityBatch");
        let mut entries = calls
            .iter()
            .rev()
            .filter_map(|call| call["Entries"].as_array())
            .flatten();
        let entry = entries.find(|entry| entry["ReceiptHandle"] == receipt)?;
        entry["VisibilityTimeout"].as_u64()
    }
}

struct Echo(Arc<AtomicU32>);
impl Job for Echo {
    const NAME: &'static str = "echo";
    type Input = Value;
    type Output = Value;
    async fn run(&self, input: Value, _: &TaskContext) -> Result<Value, JobError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(input)
    }
}

struct Fails;
impl Job for Fails {
    const NAME: &'static str = "fails";
    type Input = String;
    type Output = ();
    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: 1,
            ..Default::default()
        }
    }
    async fn run(&self, input: String, _: &TaskContext) -> Result<(), JobError> {
        match input.as_str() {
            "transient" => {
                let after = Duration::from_secs(7);
                Err(JobError::transient("Busy", "try later").retry_after(after))
            }
            "permanent" => Err(JobError::permanent("Wrong", "never")),
            _ => panic!("a bug in the job"),
        }
    }
}

/// Runs until it is stopped.
struct Endless;
impl Job for Endless {
    const NAME: &'static str = "endless";
    type Input = ();
    type Output = ();
    async fn run(&self, (): (), _: &TaskContext) -> Result<(), JobError> {
        std::future::pending().await
    }
}

struct Large;
impl Job for Large {
    const NAME: &'static str = "large";
    type Input = usize;
    type Output = String;
    async fn run(&self, size: usize, _: &TaskContext) -> Result<String, JobError> {
        Ok("x".repeat(size))
    }
}

struct Bench {
    worker: Worker,
    calls: Calls,
    runs: Arc<AtomicU32>,
    faults: Faults,
}

fn bench(lease: Duration) -> Bench {
    let (calls, faults, runs) = (Calls::default(), Faults::default(), Arc::default());
    let table = testing::TASKS.to_owned();
    let worker = Worker {
        tasks: TaskStore::new(testing::faulty(&faults), table, Duration::from_secs(3600)),
        queue: TaskQueue::new(
            calls.client(),
            "http://sqs/tasks".to_owned(),
            "http://sqs/high".to_owned(),
        ),
        runner: Arc::new(Runner::start().unwrap()),
        name: "worker 1".to_owned(),
        dead_letters: DeadLetters::new(calls.client(), "http://sqs/dead".to_owned()),
        jobs: Registry::default()
            .with(Echo(Arc::clone(&runs)))
            .with(Fails)
            .with(Endless)
            .with(Large),
        lease,
    };
    Bench {
        worker,
        calls,
        runs,
        faults,
    }
}

impl Bench {
    async fn run(&self, messages: &[(&str, String)], time: Duration) -> Vec<String> {
        let records = messages.iter().map(|(id, body)| Delivery {
            id: (*id).to_owned(),
            receipt: format!("receipt-{id}"),
            body: body.clone(),
            ..Delivery::default()
        });
        let deadline = now_ms() + u64::try_from(time.as_millis()).unwrap();
        self.worker.run_batch(records.collect(), deadline).await
    }

    async fn ended(&self, id: Uuid) -> (State, Option<String>) {
        let record = self.worker.tasks.get(id).await.unwrap().unwrap();
        (record.state, record.error.map(|error| error.kind))
    }
}

fn task(job: &str, input: Value) -> (Uuid, String) {
    let id = Uuid::new_v4();
    let input = RawValue::from_string(input.to_string()).unwrap();
    (
        id,
        wire::encode(&Task::new(id, job, input, now_ms())).unwrap(),
    )
}

#[tokio::test]
async fn a_batch_names_exactly_the_messages_that_must_come_again() {
    let bench = bench(LEASE);
    let (good, good_body) = task("echo", json!({"a": 1}));
    let (transient, transient_body) = task("fails", json!("transient"));
    let (permanent, permanent_body) = task("fails", json!("permanent"));
    let (panicking, panicking_body) = task("fails", json!("panic"));
    let (wrong, wrong_body) = task("fails", json!(5));
    let (unknown, unknown_body) = task("nothing", json!(1));
    let again = bench
        .run(
            &[
                ("good", good_body),
                ("transient", transient_body),
                ("permanent", permanent_body),
                ("panic", panicking_body),
                ("wrong", wrong_body),
                ("unknown", unknown_body),
                ("empty", String::new()),
            ],
            LEASE,
        )
        .await;
    assert_eq!(again, ["transient"]);
    assert_eq!(bench.calls.hidden("receipt-transient"), Some(7));
    assert_eq!(bench.calls.hidden("receipt-good"), Some(60));
    assert_eq!(bench.ended(good).await, (State::Completed, None));
    let busy = Some("Busy".to_owned());
    assert_eq!(bench.ended(transient).await, (State::Retrying, busy));
    for (id, kind) in [
        (permanent, "Wrong"),
        (panicking, "Panicked"),
        (wrong, "InvalidInput"),
        (unknown, "UnknownJob"),
    ] {
        assert_eq!(
            bench.ended(id).await,
            (State::Failed, Some(kind.to_owned()))
        );
    }
    let aside = bench.calls.of("SendMessage");
    assert_eq!(aside.len(), 2, "{aside:?}");
    let reasons: Vec<&Value> = aside
        .iter()
        .map(|sent| &sent["MessageAttributes"]["reason"]["StringValue"])
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| **reason == json!("there is no job named \"nothing\""))
    );
}

#[tokio::test]
async fn an_empty_batch_is_no_failure() {
    assert!(bench(LEASE).run(&[], LEASE).await.is_empty());
}

#[tokio::test]
async fn a_duplicate_of_an_ended_task_is_dropped() {
    let bench = bench(LEASE);
    let (id, body) = task("echo", json!(1));
    assert!(bench.run(&[("a", body.clone())], LEASE).await.is_empty());
    assert!(
        bench
            .run(&[("b", body.clone()), ("c", body)], LEASE)
            .await
            .is_empty()
    );
    assert_eq!(bench.runs.load(Ordering::Relaxed), 1);
    assert_eq!(bench.ended(id).await.0, State::Completed);
}

#[tokio::test]
async fn a_duplicate_of_a_running_task_waits_for_the_lease_to_end() {
    let bench = bench(LEASE);
    let (_, body) = task("echo", json!(1));
    let claimed = wire::decode(&body, now_ms()).unwrap();
    bench
        .worker
        .tasks
        .claim(&claimed, Duration::from_secs(30), "another worker")
        .await
        .unwrap();
    assert_eq!(bench.run(&[("a", body)], LEASE).await, ["a"]);
    let hidden = bench.calls.hidden("receipt-a").unwrap();
    assert!((25..=30).contains(&hidden), "{hidden}");
    assert_eq!(bench.runs.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_task_whose_worker_died_runs_again_and_not_for_ever() {
    let bench = bench(LEASE);
    let (id, body) = task("fails", json!("transient"));
    let message = wire::decode(&body, now_ms()).unwrap();
    // Two attempts are allowed; two workers claim the task and die.
    for _ in 0..2 {
        bench
            .worker
            .tasks
            .claim(&message, Duration::ZERO, "another worker")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(bench.run(&[("a", body)], LEASE).await.is_empty());
    assert_eq!(
        bench.ended(id).await,
        (State::Failed, Some("WorkerLost".to_owned()))
    );
}

#[tokio::test]
async fn what_is_unfinished_at_the_deadline_comes_again_and_what_is_finished_does_not() {
    let bench = bench(LEASE);
    let (finished, finished_body) = task("echo", json!(1));
    let (unfinished, unfinished_body) = task("endless", Value::Null);
    let time = Duration::from_millis(100);
    let again = bench
        .run(&[("f", finished_body), ("u", unfinished_body)], time)
        .await;
    assert_eq!(again, ["u"]);
    assert_eq!(bench.calls.hidden("receipt-u"), Some(0));
    assert_eq!(bench.ended(finished).await.0, State::Completed);
    assert_eq!(
        bench.ended(unfinished).await,
        (State::Retrying, Some("OutOfTime".to_owned()))
    );
}

#[tokio::test]
async fn a_heartbeat_holds_lease_and_message_together() {
    let bench = bench(SHORT_LEASE);
    let (_, body) = task("endless", Value::Null);
    let message = wire::decode(&body, now_ms()).unwrap();
    let batch = [("a", body)];
    let running = bench.run(&batch, SHORT_LEASE * 4);
    let other = async {
        tokio::time::sleep(SHORT_LEASE * 2).await;
        bench
            .worker
            .tasks
            .claim(&message, SHORT_LEASE, "another worker")
            .await
            .unwrap()
    };
    let (again, claim) = tokio::join!(running, other);
    assert!(matches!(claim, ClaimOutcome::Held { .. }), "{claim:?}");
    assert_eq!(again, ["a"]);
    assert!(bench.calls.of("ChangeMessageVisibilityBatch").len() >= 3);
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_stops_and_leaves_the_message() {
    let bench = bench(SHORT_LEASE);
    let (id, body) = task("endless", Value::Null);
    let message = wire::decode(&body, now_ms()).unwrap();
    let batch = [("a", body)];
    let running = bench.run(&batch, Duration::from_secs(3600));
    let thief = async {
        // Another worker, whose clock is an hour ahead, takes the lease for lost.
        tokio::time::sleep(SHORT_LEASE / 6).await;
        steal(&bench.worker.tasks, &message).await
    };
    let (again, thief) = tokio::join!(running, thief);
    assert_eq!(again, ["a"]);
    assert_eq!(bench.ended(id).await.0, State::Running);
    assert_eq!(
        bench.worker.tasks.complete(&thief, "1").await.unwrap(),
        Fenced::Written
    );
}

#[tokio::test]
async fn a_table_that_does_not_answer_leaves_the_message() {
    let bench = bench(LEASE);
    let (_, body) = task("echo", json!(1));
    bench.faults.fail("UpdateItem");
    assert_eq!(bench.run(&[("a", body.clone())], LEASE).await, ["a"]);
    assert_eq!(bench.runs.load(Ordering::Relaxed), 0);
    bench.faults.mend();
    assert!(bench.run(&[("a", body)], LEASE).await.is_empty());
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_fails_its_task_with_the_reason() {
    let bench = bench(LEASE);
    let (id, body) = task("large", json!(6_000_000));
    assert!(bench.run(&[("a", body)], LEASE).await.is_empty());
    assert_eq!(
        bench.ended(id).await,
        (State::Failed, Some("ResultTooLarge".to_owned()))
    );
}

#[test]
fn a_part_of_the_time_is_kept_for_writing_down() {
    assert_eq!(working_time(u64::MAX, 0), Duration::from_secs(895));
    assert_eq!(working_time(300_000, 0), Duration::from_secs(295));
    assert_eq!(working_time(1_010, 10), Duration::from_millis(900));
    assert_eq!(
        working_time(600, 1_700_000_000_000),
        Duration::from_secs(295),
        "no deadline"
    );
}
