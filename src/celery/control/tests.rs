use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::request::{ReplyTo, matches};
use super::*;
use crate::celery::envelope::Envelope;
use crate::celery::origin::CELERY;
use crate::celery::testing::read;
use crate::clock::stopped;
use crate::dynamodb::testing::{self, Faults};
use crate::json::parse;
use crate::tasks::id::TaskId;
use crate::tasks::queue::TaskQueue;
use crate::tasks::state::State;
use crate::tasks::store::TaskStore;
use crate::tasks::task::{Options, Origin, Task};
use crate::tasks::worker::testing::sqs_client;

const HOST: &str = "celery@service";
const QUEUES: &str = "celery=http://sqs/1/service-celery,other.queue=http://sqs/1/x";
/// A second before the first captured message expires.
const NOW: u64 = 1_795_651_775_000;
/// When no client waits any more.
const LATER: u64 = NOW + 60_000;

/// The queues, which record the URL and the body of each message.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<Mutex<Vec<(String, String)>>>);

impl HttpConnector for Sent {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = parse(request.body().bytes().unwrap_or_default()).unwrap();
        let text = |name| call.get(name).and_then(Json::as_str).unwrap().to_owned();
        let message = (text("QueueUrl"), text("MessageBody"));
        self.0.lock().unwrap().push(message);
        let answer = r#"{"MessageId": "m"}"#;
        let status = 200.try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.into())))
    }
}

impl Sent {
    fn client(&self) -> aws_sdk_sqs::Client {
        sqs_client(self.clone())
    }

    /// The only message since the last call: its URL, its headers and its content.
    fn take(&self) -> Option<(String, Json, Json)> {
        let mut sent = self.0.lock().unwrap();
        assert!(sent.len() < 2, "{sent:?}");
        let (url, body) = sent.pop()?;
        let envelope = Envelope::open(&body).unwrap();
        let content = envelope.content.read().unwrap();
        Some((url, envelope.headers.into(), content))
    }

    /// What the worker answered.
    fn answer(&self) -> Option<Json> {
        let (_, _, reply) = self.take()?;
        reply.get(HOST).cloned()
    }
}

struct World {
    control: Control,
    tasks: TaskStore,
    results: ResultStore,
    sent: Sent,
    faults: Faults,
}

fn world() -> World {
    stopped::set(NOW);
    let (sent, faults) = (Sent::default(), Faults::default());
    let (client, retention) = (testing::faulty(&faults), Duration::from_secs(3600));
    let tasks = TaskStore::new(client.clone(), testing::TASKS.to_owned(), retention);
    let results = ResultStore::new(client, testing::CELERY_RESULTS.to_owned(), retention);
    let url = "http://sqs/1/service-tasks".to_owned();
    let queue = TaskQueue::new(sent.client(), url.clone(), url);
    let control = Control::new(
        HOST.to_owned(),
        ["mul", "add"].into_iter(),
        Reader::new(tasks.clone()),
        Canceller::new(tasks.clone(), None, queue),
        results.clone(),
        Replies::new(sent.client(), QUEUES).unwrap(),
    );
    World {
        control,
        tasks,
        results,
        sent,
        faults,
    }
}

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

fn task(name: &str, eta: Option<u64>) -> Task {
    let input = r#"{"args": [2, 3], "kwargs": {"z": 1}}"#;
    let input = RawValue::from_string(input.to_owned()).unwrap();
    let mut task = Task::new(id(name), "add", input, NOW).with_options(Options {
        eta,
        ..Options::default()
    });
    task.origin = Some(Origin::new(CELERY, Vec::new(), RawValue::NULL.to_owned()));
    task
}

impl World {
    async fn submitted(&self, name: &str, eta: Option<u64>) -> Task {
        let task = task(name, eta);
        self.tasks.submitted(&task).await.unwrap();
        task
    }

    async fn running(&self, name: &str) -> Task {
        let task = task(name, None);
        let claim = self.tasks.claim(&task, Duration::from_secs(60), "worker 1");
        claim.await.unwrap();
        task
    }

    async fn state(&self, name: &str) -> Option<State> {
        let record = self.tasks.get(&id(name)).await.unwrap();
        record.map(|record| record.state)
    }

    /// The answer to a question with these arguments.
    async fn ask(&self, method: &str, arguments: &str) -> Json {
        self.control
            .handle(&question(method, arguments))
            .await
            .unwrap();
        self.sent.answer().expect("an answer")
    }
}

/// A message of a client.
fn captured(case: &str) -> String {
    let all = read("control.json");
    all.get(case).and_then(Json::as_str).expect(case).to_owned()
}

fn message(body: &str) -> String {
    let body = STANDARD.encode(body);
    format!(
        r#"{{"body": "{body}", "headers": {{"clock": 7, "expires": 0}},
        "properties": {{"body_encoding": "base64"}}}}"#
    )
}

fn question(method: &str, arguments: &str) -> String {
    message(&format!(
        r#"{{"method": "{method}", "arguments": {arguments}, "ticket": "t",
        "reply_to": {{"exchange": "reply.celery.pidbox", "routing_key": "me"}}}}"#
    ))
}

fn json(text: &str) -> Json {
    parse(text.as_bytes()).unwrap()
}

#[test]
fn every_message_of_a_client_is_read() {
    let all = read("control.json");
    for (case, message) in all.as_object().unwrap().iter() {
        let request = Request::read(message.as_str().unwrap()).expect(case);
        assert!(!request.method.is_empty() && request.clock > 0, "{case}");
        assert!(!request.is_late(NOW) && request.is_late(LATER), "{case}");
    }
    let request = Request::read(&captured("ping of one worker")).unwrap();
    assert!(request.is_for("celery@one") && !request.is_for(HOST));
    let request = Request::read(&captured("inspect active of a pattern")).unwrap();
    assert!(request.is_for("celery@s1") && !request.is_for("celery@one"));
}

#[test]
fn an_unreadable_message_has_a_reason() {
    for (body, reason) in [
        ("5", "object"),
        ("{}", "command"),
        (r#"{"method": "ping", "arguments": []}"#, "arguments"),
        (
            r#"{"method": "ping", "destination": "celery@one"}"#,
            "destination",
        ),
        (
            r#"{"method": "ping", "reply_to": {"exchange": "celery", "routing_key": "x"}}"#,
            "address",
        ),
        (
            r#"{"method": "ping", "pattern": ".*", "matcher": "pcre"}"#,
            "matcher",
        ),
    ] {
        let error = Request::read(&message(body)).unwrap_err();
        assert!(error.contains(reason), "{body}: {error}");
    }
    assert!(Request::read("hello").is_err());
}

/// As `fnmatch.fnmatchcase` of Python.
#[test]
fn a_pattern_matches_as_in_python() {
    for (pattern, name) in [
        ("*", ""),
        ("celery@*", "celery@a"),
        ("*a*b*", "xaxbx"),
        ("a?c", "abc"),
        ("[ab]x", "bx"),
        ("[!ab]x", "cx"),
        ("[a-c]x", "bx"),
        ("[]a]x", "]x"),
        ("[!]]x", "ax"),
        ("[a-]x", "-x"),
        ("a[", "a["),
        ("[*]", "*"),
        ("ä*", "äö"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("", "a"),
        ("a", "A"),
        ("a?c", "ac"),
        ("[ab]x", "cx"),
        ("[!ab]x", "ax"),
        ("[c-a]", "b"),
        ("*ab", "aba"),
        ("[*]", "a"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

#[test]
fn a_reply_goes_beside_the_queue_of_celery() {
    let client = Sent::default().client();
    let replies = Replies::new(client.clone(), QUEUES).unwrap();
    let to = |routing_key: &str| ReplyTo {
        exchange: "reply.celery.pidbox".to_owned(),
        routing_key: routing_key.to_owned(),
    };
    let url = replies.url(&to("a.1"));
    assert_eq!(
        url.as_deref(),
        Some("http://sqs/1/service-a-1-reply-celery-pidbox")
    );
    assert_eq!(replies.url(&to("ä")), None);
    assert_eq!(replies.url(&to(&"x".repeat(80))), None);
    for queues in ["", "celery", "celery=celery", "celery=http://sqs/1/other"] {
        assert!(Replies::new(client.clone(), queues).is_err(), "{queues}");
    }
}

#[tokio::test]
async fn a_question_is_answered_with_its_ticket() {
    let world = world();
    world.control.handle(&captured("ping")).await.unwrap();
    let (url, headers, reply) = world.sent.take().unwrap();
    let name = "8f5206f6-4e85-301b-a186-f59ab8287638-reply-celery-pidbox";
    assert_eq!(url, format!("http://sqs/1/service-{name}"));
    assert_eq!(reply, json(r#"{"celery@service": {"ok": "pong"}}"#));
    let expected = r#"{"ticket": "62b40921-1512-441f-9c57-673fece2720b", "clock": 7}"#;
    assert_eq!(headers, json(expected));
}

#[tokio::test]
async fn only_what_is_for_this_worker_and_in_time_is_answered() {
    let world = world();
    for message in [&captured("ping of one worker"), "nonsense", &message("{}")] {
        world.control.handle(message).await.unwrap();
        assert_eq!(world.sent.take(), None, "{message}");
    }
    stopped::set(LATER);
    world.control.handle(&captured("ping")).await.unwrap();
    assert_eq!(world.sent.take(), None);
    // A revocation holds also when the client waits no more.
    let revoke = captured("revoke with reply");
    world.control.handle(&revoke).await.unwrap();
    assert_eq!(world.sent.take(), None);
    assert_eq!(world.state("a").await, Some(State::Cancelled));
}

#[tokio::test]
async fn tasks_are_revoked_before_and_after_their_message() {
    let world = world();
    world.submitted("b", Some(NOW + 5_000)).await;
    for _ in 0..2 {
        world
            .control
            .handle(&captured("revoke several"))
            .await
            .unwrap();
        for name in ["a", "b"] {
            assert_eq!(world.state(name).await, Some(State::Cancelled), "{name}");
        }
    }
    let answer = world.ask("revoke", r#"{"task_id": ["a", "it's"]}"#).await;
    assert_eq!(
        answer,
        json(r#"{"ok": "tasks {'a', \"it's\"} flagged as revoked"}"#)
    );
    for arguments in ["{}", r#"{"task_id": 5}"#, r#"{"task_id": [""]}"#] {
        let answer = world.ask("revoke", arguments).await;
        assert!(answer.get("error").is_some(), "{arguments}");
    }
}

#[tokio::test]
async fn a_revoked_task_that_has_no_state_yet_is_revoked_for_its_client_at_once() {
    let world = world();
    let started = r#"{"status": "STARTED", "result": null}"#;
    world
        .results
        .put("b", 11, started.to_owned())
        .await
        .unwrap();
    world
        .control
        .handle(&captured("revoke several"))
        .await
        .unwrap();
    let ids = ["a", "b"].map(str::to_owned);
    let stored = world.results.results(&ids).await.unwrap();
    let states = stored.into_iter().map(|found| found.unwrap().status);
    assert_eq!(states.collect::<Vec<_>>(), ["REVOKED", "STARTED"]);
}

#[tokio::test]
async fn a_running_task_is_stopped_only_by_terminate() {
    let world = world();
    let task = world.running("a").await;
    let requested = async || {
        let record = world.tasks.get(&task.id).await.unwrap().unwrap();
        assert_eq!(record.state, State::Running);
        record.cancel_requested_at.is_some()
    };
    world.control.handle(&captured("revoke")).await.unwrap();
    assert!(!requested().await);
    let answer = world
        .ask("terminate", r#"{"signal": "KILL", "task_id": "a"}"#)
        .await;
    assert_eq!(answer, json(r#"{"ok": "terminate: a"}"#));
    assert!(requested().await);
    let answer = world
        .ask("revoke", r#"{"task_id": ["new"], "terminate": true}"#)
        .await;
    assert_eq!(answer, json(r#"{"ok": "terminate: tasks unknown"}"#));
}

#[tokio::test]
async fn tasks_are_listed_by_their_state() {
    let world = world();
    world.running("runs").await;
    world.submitted("waits", None).await;
    world.submitted("later", Some(NOW + 5_000)).await;
    world.control.handle(&captured("revoke")).await.unwrap();
    let active = world.ask("active", "{}").await;
    let info = &active.as_array().unwrap()[0];
    for (name, value) in [
        ("id", r#""runs""#),
        ("name", r#""add""#),
        ("args", "[2, 3]"),
        ("kwargs", r#"{"z": 1}"#),
        ("hostname", r#""celery@service""#),
        ("time_start", "1795651775.0"),
    ] {
        assert_eq!(info.get(name), Some(&json(value)), "{name}");
    }
    let reserved = world.ask("reserved", "null").await;
    assert_eq!(reserved.as_array().unwrap().len(), 1);
    let scheduled = world.ask("scheduled", "{}").await;
    let waiting = &scheduled.as_array().unwrap()[0];
    assert_eq!(
        waiting.get("eta"),
        Some(&"2026-11-26T00:09:40+00:00".into())
    );
    let request = waiting.get("request").unwrap();
    assert_eq!(request.get("id"), Some(&"later".into()));
    assert_eq!(world.ask("revoked", "{}").await, json(r#"["a"]"#));
    let found = world
        .ask("query_task", r#"{"ids": ["runs", "later", "a", "none"]}"#)
        .await;
    let states: Vec<_> = found.as_object().unwrap().values().collect();
    let states = states
        .iter()
        .map(|state| state.as_array().unwrap()[0].as_str());
    let states: Vec<_> = states.flatten().collect();
    assert_eq!(states, ["active", "scheduled"]);
}

#[tokio::test]
async fn the_worker_describes_itself() {
    let world = world();
    assert_eq!(
        world.ask("registered", "{}").await,
        json(r#"["add", "mul"]"#)
    );
    assert_eq!(world.ask("clock", "{}").await, json(r#"{"clock": 8}"#));
    let stats = world.ask("stats", "{}").await;
    for name in ["total", "pid", "uptime", "pool", "broker"] {
        assert!(stats.get(name).is_some(), "{name}");
    }
    let queues = world.ask("active_queues", "{}").await;
    let names = queues.as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|queue| queue.get("name").unwrap().as_str())
        .collect();
    assert_eq!(names, [Some("celery"), Some("other.queue")]);
    let conf = world.ask("conf", r#"{"with_defaults": false}"#).await;
    assert_eq!(conf.get("task_default_queue"), Some(&"celery".into()));
    let report = world.ask("report", "{}").await;
    assert!(report.get("ok").is_some());
    // Celery answers an unknown command with the error of its dictionary of commands.
    let answer = world.ask("nothing", "{}").await;
    assert_eq!(answer, json(r#"{"error": "KeyError('nothing')"}"#));
    for command in ["rate_limit", "revoke_by_stamped_headers", "shutdown"] {
        let answer = world.ask(command, "{}").await;
        let error = answer.get("error").and_then(Json::as_str).unwrap();
        assert!(error.contains("not supported"), "{error}");
    }
}

#[tokio::test]
async fn without_the_table_a_revocation_is_tried_again_and_a_question_is_not() {
    let world = world();
    world.faults.fail("UpdateItem");
    assert!(world.control.handle(&captured("revoke")).await.is_err());
    world.faults.fail("Query");
    let answer = world.ask("active", "{}").await;
    assert!(answer.get("error").is_some());
    world.faults.mend();
    world.control.handle(&captured("revoke")).await.unwrap();
    assert_eq!(world.state("a").await, Some(State::Cancelled));
}
