//! Which answers are taken.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::celery::decode;
use crate::celery::ends::Ends;
use crate::celery::origin::{Source, task_of};
use crate::celery::remote::{Accept, RemoteBodies, answer, request};
use crate::celery::tests::world::World;
use crate::dynamodb::testing::{CELERY_RESULTS, Gate};
use crate::tasks::format::{AnswerKind, Parts};
use crate::tasks::job::JobError;
use crate::tasks::task::Task;

const OWN: &str = "b'celery-task-meta-i'";

fn bodies() -> RemoteBodies {
    RemoteBodies::new(|_| true, Accept::new("pickle").unwrap())
}

fn task(headers: &str, embed: &str) -> Task {
    let body = json!({
        "body": format!("[[1], {{}}, {embed}]"),
        "headers": serde_json::from_str::<Value>(headers).unwrap(),
        "properties": {"delivery_info": {"routing_key": "own"}},
    });
    task_of(decode(&body.to_string()).unwrap(), 1, true).unwrap()
}

fn alone() -> Task {
    task(r#"{"task": "t", "id": "i"}"#, "{}")
}

fn member() -> Task {
    let chord = r#"{"chord": {"task": "b", "options": {"task_id": "c"}}}"#;
    task(r#"{"task": "t", "id": "i", "group": "g"}"#, chord)
}

fn ends() -> Ends {
    World::new().ends(&Gate::default())
}

fn check(task: &Task, part: &Value, kind: AnswerKind) -> Result<Parts, JobError> {
    let part = RawValue::from_string(part.to_string()).unwrap();
    answer(&ends(), &bodies(), task, &part, kind)
}

fn calls(task: &Task, calls: &Value, kind: AnswerKind) -> Result<(), String> {
    let checked = check(task, &json!({ "calls": calls }), kind);
    checked.map(drop).map_err(|error| error.to_string())
}

fn store(table: &str, id: &str) -> Value {
    json!([{"store": {"table": table, "id": id, "result": STANDARD.encode("{}"), "timestamp": 1}}])
}

fn send(url: &str) -> Value {
    json!([{"send": {"queue_url": url, "body": "b"}}])
}

#[test]
fn calls_are_taken_for_known_queues_and_the_table_of_results() {
    use AnswerKind::*;
    let task = alone();
    for kind in [Result, Error, Retry, Ignore, Reject, Moved] {
        calls(&task, &send("http://sqs/celery"), kind).unwrap();
        calls(&task, &send("http://127.0.0.1:4566/orders.fifo"), kind).unwrap();
        let unknown = calls(&task, &send("http://sqs/other"), kind).unwrap_err();
        assert!(unknown.starts_with("UnknownQueue: "), "{unknown}");
        calls(&task, &store(CELERY_RESULTS, OWN), kind).unwrap();
        calls(&task, &store(CELERY_RESULTS, "b'celery-task-meta-j'"), kind).unwrap();
        calls(
            &task,
            &store(CELERY_RESULTS, "b'celery-taskset-meta-g'"),
            kind,
        )
        .unwrap();
        let counter = json!([{"counter": {"table": CELERY_RESULTS, "id": "b'chord-unlock-g'",
                                          "timestamp": 1}}]);
        calls(&task, &counter, kind).unwrap();
        let table = calls(&task, &store("tasks", OWN), kind).unwrap_err();
        assert!(table.starts_with("UnknownTable: "), "{table}");
        for id in ["tasks", "b'x'", "b'chord-unlock-g'"] {
            let key = calls(&task, &store(CELERY_RESULTS, id), kind).unwrap_err();
            assert!(key.starts_with("InvalidAnswer: "), "{key}");
        }
    }
}

#[test]
fn only_the_end_of_a_member_counts_in_a_chord() {
    let plain = json!([{"chord": true}]);
    let named = |group: &str, body: Value| json!([{"chord": {"group": group, "body": body}}]);
    let taken = |task: &Task, calls: &Value| self::calls(task, calls, AnswerKind::Result).is_ok();
    assert!(taken(&member(), &plain));
    assert!(taken(&member(), &named("g", Value::Null)));
    assert!(!taken(&member(), &named("h", Value::Null)));
    assert!(!taken(&alone(), &plain));
    calls(&member(), &plain, AnswerKind::Retry).unwrap_err();
    // A body that caught what `retry` raises has ended, and goes on in another message all the same.
    calls(&member(), &plain, AnswerKind::Moved).unwrap();
    // The function alone knows the body of a message that it decodes, and of a link that never runs.
    assert!(!taken(&alone(), &named("g", Value::Null)));
    assert!(taken(&alone(), &named("g", json!({"task": "b"}))));
}

#[test]
fn without_calls_the_service_does_what_follows() {
    let parts = check(&alone(), &json!({}), AnswerKind::Result).unwrap();
    assert!(parts.calls.is_none() && parts.next.is_none());
    let parts = check(&alone(), &json!({"calls": []}), AnswerKind::Result).unwrap();
    assert_eq!(parts.calls.unwrap().get(), "[]");
    assert!(check(&alone(), &json!([]), AnswerKind::Result).is_err());
}

/// The message of a retry: that of the request, with changes.
fn retry(task: &Task, change: impl FnOnce(&mut Value)) -> Value {
    let request = request(task, task.input().unwrap(), None, false).unwrap();
    let mut message: Value = serde_json::from_str(request.get()).unwrap();
    message["headers"]["retries"] = 1.into();
    change(&mut message);
    json!({"calls": [], "message": message})
}

#[test]
fn a_retry_gives_the_next_attempt_its_message() {
    let task = member();
    let part = retry(&task, |message| {
        message["body"] = r#"[[NaN],{"k":2},{"chain":[{"task":"n"}]}]"#.into();
        message["headers"]["mine"] = "x".into();
    });
    let next = check(&task, &part, AnswerKind::Retry).unwrap().next;
    let next = task.with_next(next.unwrap());
    let source = Source::of(&next).unwrap();
    assert_eq!((source.headers.retries, source.embed.chain.len()), (1, 1));
    let again = request(&next, next.input().unwrap(), None, false).unwrap();
    let again: Value = serde_json::from_str(again.get()).unwrap();
    assert_eq!(again["headers"]["retries"], 1);
    assert_eq!(again["headers"]["mine"], "x");
    let body = again["body"].as_str().unwrap();
    assert!(body.starts_with(r#"[[NaN],{"k":2},{"#), "{body}");
    // The first message is as it was.
    assert_eq!(Source::of(&task).unwrap().headers.retries, 0);
}

#[test]
fn a_retry_may_change_its_serializer() {
    let task = alone();
    let sealed = |kind: &'static str| {
        retry(&task, move |message| {
            message["content_type"] = kind.into();
            message["body"] = STANDARD.encode(b"\x80\x04").into();
            message["body_encoding"] = "base64".into();
        })
    };
    let part = sealed("application/x-python-serialize");
    let next = check(&task, &part, AnswerKind::Retry).unwrap().next;
    let next = task.with_next(next.unwrap());
    assert!(Source::of(&next).unwrap().is_sealed);
    let again = request(&next, next.input().unwrap(), None, false).unwrap();
    assert!(again.get().contains(r#""body_encoding":"base64""#));
    let refused = check(&task, &sealed("application/x-yaml"), AnswerKind::Retry);
    assert_eq!(refused.unwrap_err().kind(), "ContentDisallowed");
}

#[test]
fn a_retry_is_of_the_same_task_on_a_known_queue() {
    let task = alone();
    let taken = |part: &Value| check(&task, part, AnswerKind::Retry).map(drop);
    let queue = |name: &'static str| {
        retry(&task, move |message| {
            message["properties"]["delivery_info"]["routing_key"] = name.into();
        })
    };
    for known in ["own", "celery", "fifo"] {
        taken(&queue(known)).unwrap();
    }
    assert_eq!(taken(&queue("other")).unwrap_err().kind(), "UnknownQueue");
    for name in ["id", "task"] {
        let other = retry(&task, |message| message["headers"][name] = "other".into());
        assert_eq!(taken(&other).unwrap_err().kind(), "InvalidAnswer");
    }
    for body in ["", "[]", "nothing"] {
        taken(&retry(&task, |message| message["body"] = body.into())).unwrap_err();
    }
    taken(&json!({"calls": [], "message": 1})).unwrap_err();
    let part = retry(&task, |_| ());
    check(&task, &part, AnswerKind::Result).unwrap_err();
}
