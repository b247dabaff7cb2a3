use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::celery::outbox::Outbox;
use crate::celery::remote::{Accept, RemoteBodies};
use crate::clock::stopped;
use crate::dynamodb::testing::{self, Faults};
use crate::remote::bodies::Bodies;
use crate::tasks::client::Submitter;
use crate::tasks::counts::Counts;
use crate::tasks::queue::TaskQueue;
use crate::tasks::state::State;
use crate::tasks::store::{ClaimOutcome, TaskStore};
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;
use crate::tasks::worker::testing::sqs_client;
use crate::web::answer::text_of;
use crate::web::guard::Admitted;
use crate::web::request::{Metadata, from_event};

const NOW: u64 = 1_795_651_775_000;
const HOST: &str = "celery@service";
const OWN: &str = "http://sqs/1/service-celery";
const OTHER: &str = "http://sqs/1/python";

/// The queues, which record each call, and have two messages each.
#[derive(Debug, Clone, Default)]
struct Sqs(Arc<Mutex<Vec<(String, Value)>>>);

impl HttpConnector for Sqs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let call = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let answer = match &*operation {
            "GetQueueAttributes" => json!({"Attributes": {
                "ApproximateNumberOfMessages": "2",
                "ApproximateNumberOfMessagesNotVisible": "3",
                "ApproximateNumberOfMessagesDelayed": "0",
            }}),
            "SendMessageBatch" => json!({"Successful": [], "Failed": []}),
            _ => json!({"MessageId": "m"}),
        };
        self.0.lock().unwrap().push((operation, call));
        let answer = HttpResponse::new(200.try_into().unwrap(), answer.to_string().into());
        HttpConnectorFuture::ready(Ok(answer))
    }
}

impl Sqs {
    fn calls(&self, operation: &str) -> Vec<Value> {
        let calls = self.0.lock().unwrap();
        let calls = calls.iter().filter(|(name, _)| name == operation);
        calls.map(|(_, call)| call.clone()).collect()
    }
}

struct World {
    flower: Flower,
    tasks: TaskStore,
    sqs: Sqs,
    faults: Faults,
}

fn world() -> World {
    stopped::set(NOW);
    let (sqs, faults) = (Sqs::default(), Faults::default());
    let client = sqs_client(sqs.clone());
    let table = testing::TASKS.to_owned();
    let dynamodb = testing::faulty(&faults);
    let tasks = TaskStore::new(dynamodb.clone(), table.clone(), Duration::from_secs(3600));
    let url = "http://sqs/1/service-tasks".to_owned();
    let queue = TaskQueue::new(client.clone(), url.clone(), url);
    let reader = Reader::new(tasks.clone());
    let bodies: Bodies = "python.*=bodies:live".parse().unwrap();
    let names = vec!["celery".to_owned()];
    let outbox = format!("celery={OWN},python={OTHER}");
    let flower = Flower {
        canceller: Canceller::new(tasks.clone(), None, queue.clone()),
        applier: Some(Applier {
            submitter: Submitter::new(queue, tasks.clone(), None),
            outbox: Outbox::new(client.clone(), &outbox, "").unwrap(),
            own: vec![OWN.to_owned()],
            bodies: RemoteBodies::new(|name| name.starts_with("python."), Accept::default()),
        }),
        workers: Workers::new(HOST, ["add", "mul"].into_iter(), names, bodies, &reader),
        queues: Depths::new(client, vec![("celery".to_owned(), OWN.to_owned())]),
        counts: CountStore::new(dynamodb, table),
        reader,
    };
    World {
        flower,
        tasks,
        sqs,
        faults,
    }
}

/// Who asks: a caller who sees only own tasks, or somebody who sees all.
fn viewer(name: &str) -> Viewer {
    match name {
        "admin" => Viewer::Everyone,
        name => Viewer::Caller(name.to_owned()),
    }
}

fn request(caller: &str, method: &str, url: &str, body: &str) -> Request {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut event = ApiGatewayV2httpRequest::default();
    event.raw_path = Some(path.to_owned());
    event.raw_query_string = Some(query.to_owned());
    event.request_context.http.method = method.parse().unwrap();
    event.body = Some(body.to_owned()).filter(|body| !body.is_empty());
    let parts = path.strip_prefix("/api/").into_iter();
    let parts = parts.flat_map(|rest| rest.split('/').map(str::to_owned));
    let names = ["area", "action", "name", "more"].map(str::to_owned);
    event.path_parameters = names.into_iter().zip(parts).collect::<HashMap<_, _>>();
    let mut request = from_event(event, "/api/{area}");
    let metadata = request.extensions_mut().get_mut::<Metadata>().unwrap();
    metadata.admitted = Admitted {
        caller: Some(caller.to_owned()),
        viewer: viewer(caller),
    };
    request
}

impl World {
    /// The status and the text of an answer.
    async fn ask(&self, caller: &str, method: &str, url: &str, body: &str) -> (u16, String) {
        let request = request(caller, method, url, body);
        let answer = self.flower.answer(&request).await.unwrap();
        (answer.status().as_u16(), text_of(&answer).to_owned())
    }

    async fn get(&self, caller: &str, url: &str) -> Value {
        let (status, text) = self.ask(caller, "GET", url, "").await;
        assert_eq!(status, 200, "{url}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The names of the tasks of a list, in order.
    async fn list(&self, caller: &str, query: &str) -> Vec<String> {
        let tasks = self.get(caller, &format!("/api/tasks?{query}")).await;
        // `serde_json` sorts keys, so the order is that of the text.
        let (_, text) = self
            .ask(caller, "GET", &format!("/api/tasks?{query}"), "")
            .await;
        let mut names: Vec<String> = tasks.as_object().unwrap().keys().cloned().collect();
        names.sort_by_key(|name| text.find(&format!("\"{name}\":{{")));
        names
    }

    async fn submit(&self, id: &str, caller: &str, job: &str, at: u64) -> Task {
        let input = RawValue::from_string(r#"{"x":2,"who":"Ada"}"#.to_owned()).unwrap();
        let mut task = Task::new(TaskId::parse(id).unwrap(), job, input, at);
        task.caller = Some(caller.to_owned());
        self.tasks.submitted(&task).await.unwrap();
        task
    }

    async fn complete(&self, task: &Task, result: &str) {
        let claim = self.tasks.claim(task, Duration::from_secs(60), "stream");
        let Ok(ClaimOutcome::Claimed(lease)) = claim.await else {
            panic!("not claimed");
        };
        self.tasks.complete(&lease, result).await.unwrap();
    }

    async fn state(&self, id: &str) -> State {
        let found = self.tasks.get(&TaskId::parse(id).unwrap()).await.unwrap();
        found.unwrap().state
    }

    /// The calls to the table that read.
    fn reads(&self) -> usize {
        let calls = ["GetItem", "BatchGetItem", "Query", "Scan"];
        calls.map(|call| self.faults.calls(call)).iter().sum()
    }
}

fn message(id: &str, done: &str) -> (u16, String) {
    (200, format!(r#"{{"message":"{done} '{id}'"}}"#))
}

fn unknown(id: &str) -> (u16, String) {
    (404, format!("Unknown task '{id}'"))
}

#[tokio::test]
async fn a_task_is_shown_with_its_times_and_texts() {
    let world = world();
    let task = world.submit("a", "ada", "add", NOW - 500).await;
    stopped::set(NOW + 1_000);
    world.complete(&task, r#"{"sum":[3,null,"x"]}"#).await;
    let info = world.get("admin", "/api/task/info/a").await;
    for (name, value) in [
        ("uuid", json!("a")),
        ("name", json!("add")),
        ("state", json!("SUCCESS")),
        ("received", json!(1_795_651_774.5)),
        ("started", json!(1_795_651_776.0)),
        ("succeeded", json!(1_795_651_776.0)),
        ("failed", json!(null)),
        ("runtime", json!(0.0)),
        ("args", json!("()")),
        ("kwargs", json!("{'x': 2, 'who': 'Ada'}")),
        ("result", json!("{'sum': [3, None, 'x']}")),
        ("retries", json!(0)),
        ("worker", json!(HOST)),
        ("client", json!("ada")),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let result = world.get("admin", "/api/task/result/a").await;
    let expected = json!({"task-id": "a", "state": "SUCCESS", "result": {"sum": [3, null, "x"]}});
    assert_eq!(result, expected);
}

#[tokio::test]
async fn lists_are_filtered_searched_and_sorted() {
    let world = world();
    let done = world.submit("a", "ada", "add", NOW - 3_000).await;
    world.submit("b", "ada", "mul", NOW - 2_000).await;
    world.submit("c", "grace", "python.mul", NOW - 1_000).await;
    world.complete(&done, "5").await;
    for (query, expected) in [
        ("", &["c", "b", "a"][..]),
        ("limit=2", &["c", "b"]),
        ("limit=2&offset=2", &["a"]),
        ("limit=-1", &[]),
        ("sort_by=name", &["a", "b", "c"]),
        ("sort_by=-name&limit=1", &["c"]),
        ("sort_by=-received", &["c", "b", "a"]),
        ("sort_by=started", &["b", "c", "a"]),
        ("sort_by=-state&limit=1", &["a"]),
        ("state=success", &["a"]),
        ("state=RECEIVED", &["c", "b"]),
        ("state=PENDING", &[]),
        ("state=FAILURE", &[]),
        ("state=All&taskname=mul", &["b"]),
        ("workername=bodies:live@service", &["c"]),
        ("workername=celery@service", &["b", "a"]),
        ("search=kwargs:who=ada%20name:mul", &["c", "b"]),
        ("search=%22name:python.%22", &["c"]),
        ("received_start=2026-11-26%2000:10", &[]),
        ("received_end=2026-11-26%2000:10", &["c", "b", "a"]),
        ("received_end=2026-11-26%2000:09&limit=1", &[]),
    ] {
        assert_eq!(world.list("admin", query).await, expected, "{query}");
    }
    // By the index of the callers.
    for (query, expected) in [("", &["b", "a"][..]), ("state=SUCCESS", &["a"])] {
        assert_eq!(world.list("ada", query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_state_with_an_index_is_found_among_many_newer_tasks() {
    let world = world();
    world.submit("old", "ada", "add", NOW - 5_000_000).await;
    assert_eq!(
        world.ask("admin", "POST", "/api/task/revoke/old", "").await,
        message("old", "Revoked")
    );
    for age in 0..120 {
        world
            .submit(&format!("t{age}"), "ada", "add", NOW - age)
            .await;
    }
    assert_eq!(world.list("admin", "state=REVOKED&limit=1").await, ["old"]);
}

#[tokio::test]
async fn the_reads_of_a_list_are_bounded() {
    let world = world();
    let mut reads = Vec::new();
    for (from, to) in [(0, 1_010), (1_010, 1_150)] {
        for age in from..to {
            world
                .submit(&format!("t{age}"), "ada", "add", NOW - age)
                .await;
        }
        for query in [
            "limit=10",
            "",
            "search=nothing",
            "state=SUCCESS",
            "taskname=no",
        ] {
            let before = world.reads();
            let found = world.get("admin", &format!("/api/tasks?{query}")).await;
            let most = if query.is_empty() { list::MOST } else { 10 };
            assert!(found.as_object().unwrap().len() <= most, "{query}");
            reads.push(world.reads() - before);
        }
    }
    let (few, many) = reads.split_at(5);
    // A page of 100 costs a query of each of eight partitions, and a batch of records.
    for (few, many) in few.iter().zip(many) {
        assert!(few.abs_diff(*many) <= 20 && *many <= 100, "{reads:?}");
    }
    assert!(many[0] <= 9, "{reads:?}");
    assert_eq!(world.faults.calls("Scan"), 0);
}

#[tokio::test]
async fn a_call_becomes_a_task_of_its_caller() {
    let world = world();
    let path = "/api/task/async-apply/add";
    let body = r#"{"args":[1],"kwargs":{"y":"x"},"countdown":5,"expires":60,"queue":"celery"}"#;
    let (status, text) = world.ask("ada", "POST", path, body).await;
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["state"], "PENDING");
    let id = answer["task-id"].as_str().unwrap();
    let info = world.get("ada", &format!("/api/task/info/{id}")).await;
    for (name, value) in [
        ("name", json!("add")),
        ("state", json!("RECEIVED")),
        ("args", json!("(1,)")),
        ("kwargs", json!("{'y': 'x'}")),
        ("eta", json!("2026-11-26T00:09:40+00:00")),
        ("expires", json!("2026-11-26T00:10:35+00:00")),
        ("client", json!("ada")),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let record = world.tasks.get(&TaskId::parse(id).unwrap()).await.unwrap();
    let record = record.unwrap();
    assert_eq!(record.origin.as_deref(), Some("celery"));
    assert_eq!(record.effects, ["result"]);
    // The message is the service's own, in its own queue.
    let sent = world.sqs.calls("SendMessage");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["QueueUrl"], "http://sqs/1/service-tasks");
    assert_eq!(sent[0]["DelaySeconds"], 5);
    assert_eq!(
        unknown(id),
        world
            .ask("eve", "GET", &format!("/api/task/info/{id}"), "")
            .await
    );
}

#[tokio::test]
async fn a_task_of_another_worker_is_sent_to_its_queue() {
    let world = world();
    let body = r#"{"args":[1],"queue":"python"}"#;
    let path = "/api/task/send-task/theirs.add";
    let (status, _) = world.ask("admin", "POST", path, body).await;
    assert_eq!(status, 200);
    let sent = world.sqs.calls("SendMessageBatch");
    assert_eq!(sent[0]["QueueUrl"], OTHER);
    let (status, text) = world.ask("ada", "POST", path, body).await;
    assert_eq!(
        (status, &*text),
        (
            403,
            "a queue of another worker needs a key with the scope admin"
        )
    );
    let (status, text) = world
        .ask("admin", "POST", path, r#"{"queue":"nope"}"#)
        .await;
    assert_eq!(
        (status, &*text),
        (400, "the queue \"nope\" is not configured")
    );
}

#[tokio::test]
async fn a_wait_ends_with_its_time() {
    let world = world();
    let body = r#"{"timeout":0.01}"#;
    let (status, text) = world.ask("ada", "POST", "/api/task/apply/add", body).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["state"]), (200, &json!("PENDING")));
    assert_eq!(answer.get("result"), None);
}

/// What a caller who sees only own tasks gets of another caller's tasks, by every route.
#[tokio::test]
async fn another_callers_tasks_are_not_there() {
    let world = world();
    world.submit("a", "ada", "add", NOW - 1).await;
    let running = world.submit("r", "ada", "add", NOW - 2).await;
    let claim = world.tasks.claim(&running, Duration::from_secs(60), "w");
    claim.await.unwrap();
    let eve = async |method, url: &str| world.ask("eve", method, url, "").await;
    assert_eq!(eve("GET", "/api/tasks").await, (200, "{}".to_owned()));
    assert_eq!(eve("GET", "/api/tasks?state=STARTED").await.1, "{}");
    assert_eq!(eve("GET", "/api/task/info/a").await, unknown("a"));
    let pending = r#"{"task-id":"a","state":"PENDING"}"#;
    assert_eq!(eve("GET", "/api/task/result/a").await.1, pending);
    assert_eq!(eve("GET", "/api/task/result/a?timeout=1").await.1, pending);
    for action in ["revoke/a", "revoke/a?terminate=true", "abort/a"] {
        let answer = eve("POST", &format!("/api/task/{action}")).await;
        assert_eq!(answer, unknown("a"), "{action}");
    }
    for url in ["/api/queues/length", "/metrics"] {
        assert_eq!(eve("GET", url).await.0, 403, "{url}");
    }
    let worker = world
        .get("eve", "/api/workers?workername=celery@service")
        .await;
    for list in ["active", "reserved", "scheduled", "revoked"] {
        assert_eq!(worker[HOST][list], json!([]), "{list}");
    }
    let worker = world
        .get("ada", "/api/workers?workername=celery@service")
        .await;
    assert_eq!(worker[HOST]["active"][0]["id"], "r");
    // No call may be of another task, or act on another's workflow.
    for (path, body) in [
        ("async-apply/add", r#"{"task_id":"a"}"#),
        ("apply/add", r#"{"link":[{"task":"add"}]}"#),
        ("send-task/add", r#"{"headers":{"x":1}}"#),
        (
            "send-task/add",
            r#"{"chord":{"task":"add"},"group_id":"g"}"#,
        ),
        ("send-task/celery.chord_unlock", r#"{"args":["g"]}"#),
    ] {
        let answer = world
            .ask("eve", "POST", &format!("/api/task/{path}"), body)
            .await;
        assert_eq!(answer.0, 403, "{path}: {}", answer.1);
    }
    assert_eq!(world.state("a").await, State::Pending);
    let record = world.tasks.get(&TaskId::parse("r").unwrap()).await.unwrap();
    assert_eq!(record.unwrap().cancel_requested_at, None);
    assert!(world.sqs.calls("SendMessage").is_empty());
}

#[tokio::test]
async fn a_caller_revokes_own_tasks() {
    let world = world();
    world.submit("a", "ada", "add", NOW).await;
    let running = world.submit("r", "ada", "add", NOW).await;
    let claim = world.tasks.claim(&running, Duration::from_secs(60), "w");
    claim.await.unwrap();
    let ada = async |url: &str| world.ask("ada", "POST", url, "").await;
    assert_eq!(ada("/api/task/revoke/a").await, message("a", "Revoked"));
    assert_eq!(world.state("a").await, State::Cancelled);
    let is_asked = async || {
        let record = world.tasks.get(&running.id).await.unwrap().unwrap();
        record.cancel_requested_at.is_some()
    };
    assert_eq!(ada("/api/task/revoke/r").await, message("r", "Revoked"));
    assert!(!is_asked().await);
    assert_eq!(ada("/api/task/abort/r").await, message("r", "Aborted"));
    assert!(is_asked().await);
    assert_eq!(ada("/api/task/revoke/new").await, unknown("new"));
    // Whoever sees all tasks also revokes a task that is still to come.
    let coming = world.ask("admin", "POST", "/api/task/revoke/new", "").await;
    assert_eq!(coming, message("new", "Revoked"));
    assert_eq!(world.state("new").await, State::Cancelled);
}

#[tokio::test]
async fn what_has_no_meaning_here_is_refused_with_the_reason() {
    let world = world();
    for (path, text) in [
        (
            "task/timeout/add?workername=celery@service&soft=1",
            "Failed to set timeouts: 'a time limit is set with the job or with the task'",
        ),
        (
            "task/rate-limit/add?workername=celery@service&ratelimit=1",
            "Failed to set rate limit: 'a task has no rate limit'",
        ),
        (
            "worker/shutdown/celery@service",
            "Failed to change 'celery@service': Lambda scales the worker, and the stack's template sets its queues",
        ),
    ] {
        let answer = world
            .ask("admin", "POST", &format!("/api/{path}"), "")
            .await;
        assert_eq!(answer, (403, text.to_owned()));
    }
    let answer = world
        .ask("admin", "POST", "/api/worker/pool/grow/nope", "")
        .await;
    assert_eq!(answer, (404, "Unknown worker 'nope'".to_owned()));
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_a_503_in_flowers_words() {
    let world = world();
    world.faults.fail("Query");
    let answer = world.ask("admin", "GET", "/api/tasks", "").await;
    assert_eq!(
        answer,
        (503, "Broker or result backend unavailable".to_owned())
    );
}

#[tokio::test]
async fn workers_are_the_stack_and_the_places_of_remote_jobs() {
    let world = world();
    let status = world.get("eve", "/api/workers?status=true").await;
    assert_eq!(
        status,
        json!({"celery@service": true, "bodies:live@service": true})
    );
    let workers = world.get("eve", "/api/workers?refresh=true").await;
    assert_eq!(workers[HOST]["registered"], json!(["add", "mul"]));
    assert_eq!(
        workers["bodies:live@service"]["registered"],
        json!(["python.*"])
    );
    assert_eq!(world.reads(), 0);
    let types = world.get("eve", "/api/task/types").await;
    assert_eq!(types, json!({"task-types": ["add", "mul", "python.*"]}));
    let queues = world.get("admin", "/api/queues/length").await;
    assert_eq!(
        queues,
        json!({"active_queues": [{"name": "celery", "messages": 2}]})
    );
}

/// Reads samples by the grammar of the text format: the name with the labels, and the value. Each metric has its kind before
/// its samples, and its samples together.
fn samples(text: &str) -> HashMap<String, f64> {
    let (mut found, mut kinds) = (HashMap::new(), Vec::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(
                kinds.iter().all(|known| known != name),
                "{name} comes twice"
            );
            kinds.push(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let of = kinds.last().unwrap();
            assert!(
                name.strip_prefix(of.as_str()).is_some(),
                "{line} is no sample of {of}"
            );
            assert!(
                name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'),
                "{line}"
            );
            assert!(
                found
                    .insert(series.to_owned(), value.parse().unwrap())
                    .is_none()
            );
        }
    }
    found
}

#[tokio::test]
async fn metrics_have_the_totals_by_few_reads() {
    let world = world();
    let mut counts = Counts::default();
    let job = counts.of("add");
    job.entered(State::Completed);
    job.entered(State::Failed);
    job.entered(State::Expired);
    job.entered(State::Cancelled);
    job.entered(State::Retrying);
    for time in [3, 70, 5_000] {
        job.run.record(time);
    }
    job.wait.record(20);
    counts.of("py\"t\\h\non").entered(State::Completed);
    counts.of("python.mul").run.record(1);
    world.flower.counts.add(counts).await.unwrap();
    let before = world.reads();
    let (status, text) = world.ask("admin", "GET", "/metrics", "").await;
    assert_eq!(status, 200, "{text}");
    // A row of totals and the minutes since, and one call to each queue.
    assert!(world.reads() - before <= 9, "{}", world.reads() - before);
    assert_eq!(world.sqs.calls("GetQueueAttributes").len(), 1);
    let found = samples(&text);
    for (series, value) in [
        (
            r#"flower_events_total{worker="celery@service",type="task-succeeded",task="add"}"#,
            1.0,
        ),
        (
            r#"flower_events_total{worker="celery@service",type="task-started",task="add"}"#,
            3.0,
        ),
        (
            r#"celery_task_revoked_total{name="add",hostname="celery@service"}"#,
            2.0,
        ),
        (
            r#"celery_task_retried_total{name="add",hostname="celery@service"}"#,
            1.0,
        ),
        (
            r#"celery_task_succeeded_total{name="py\"t\\h\non",hostname="celery@service"}"#,
            1.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="0.004"}"#,
            1.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="0.064"}"#,
            1.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="0.128"}"#,
            2.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="+Inf"}"#,
            3.0,
        ),
        (
            r#"flower_task_runtime_seconds_sum{worker="celery@service",task="add"}"#,
            5.073,
        ),
        (
            r#"celery_task_runtime_count{hostname="bodies:live@service",name="python.mul"}"#,
            1.0,
        ),
        (
            r#"celery_task_queue_wait_time_sum{hostname="celery@service",name="add"}"#,
            0.02,
        ),
        (r#"celery_queue_length{queue_name="celery"}"#, 2.0),
        (r#"async_service_queue_in_flight{queue_name="celery"}"#, 3.0),
        (r#"flower_worker_online{worker="bodies:live@service"}"#, 1.0),
    ] {
        assert_eq!(found.get(series), Some(&value), "{series}");
    }
}
