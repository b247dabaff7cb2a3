//! Flower's API: compared with the answers of a real Flower, and with keys.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use local_stack::project;
use serde_json::{Map, Value, json};

use crate::service::{Answer, Service};

const MISSING: &str = r#"{"detail":"Not authenticated"}"#;
const FORBIDDEN: &str = r#"{"detail":"Forbidden"}"#;
/// A route of each function of Flower's, and the scope that the route needs.
const ROUTES: [(&str, &str); 15] = [
    ("GET", "/api/tasks"),
    ("GET", "/api/task/types"),
    ("GET", "/api/task/info/x"),
    ("GET", "/api/task/result/x"),
    ("POST", "/api/task/apply/process_data"),
    ("POST", "/api/task/async-apply/process_data"),
    ("POST", "/api/task/send-task/process_data"),
    ("POST", "/api/task/revoke/x"),
    ("POST", "/api/task/abort/x"),
    ("POST", "/api/task/timeout/process_data"),
    ("POST", "/api/worker/shutdown/x"),
    ("POST", "/api/worker/pool/grow/x"),
    ("GET", "/api/queues/length"),
    ("GET", "/api/workers"),
    ("GET", "/metrics"),
];

fn file(name: &str) -> PathBuf {
    project::root().join("tests/e2e/flower").join(name)
}

fn read(name: &str) -> Map<String, Value> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The outcomes of the suite with this service in Flower's place.
fn outcomes(service: &Service) -> Map<String, Value> {
    let basic = STANDARD.encode(format!("flower:{}", service.key().unwrap_or("none")));
    let mut command = Command::new("python3");
    command.arg("-B").arg(file("suite.py"));
    command.args([service.url(), format!("Basic {basic}")]);
    let done = command.output().expect("python3");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    serde_json::from_slice(&done.stdout).unwrap()
}

/// The outcomes are those of a real Flower, but for the differences that `differences.json` lists; each has its reason in
/// docs/FLOWER.md.
pub fn answers_as_flower_does(service: &Service) {
    let (reference, differences) = (read("reference.json"), read("differences.json"));
    let document = std::fs::read_to_string(project::root().join("docs/FLOWER.md")).unwrap();
    let document = document.split_whitespace().collect::<Vec<_>>().join(" ");
    let found = outcomes(service);
    assert_eq!(found.len(), reference.len());
    let mut problems = Vec::new();
    for (case, wanted) in &reference {
        let difference = &differences.get(case).cloned().unwrap_or_default();
        let expected = match difference.get("outcome") {
            Some(outcome) => outcome,
            None => wanted,
        };
        if found[case] != *expected {
            problems.push(format!(
                "{case}:\n  {}\n  in place of\n  {expected}",
                found[case]
            ));
        }
        if let Some(why) = difference["why"].as_str() {
            assert!(document.contains(why), "docs/FLOWER.md does not say: {why}");
            assert_ne!(expected, wanted, "{case} is no difference");
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The counts of a task are in the metrics soon after its end.
pub fn metrics_count_tasks(service: &Service) {
    let series = r#"celery_task_succeeded_total{name="process_data","#;
    let count = || {
        let answer = service.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        let line = answer.body.lines().find(|line| line.starts_with(series));
        let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        count.unwrap_or(0)
    };
    let before = count();
    let call = r#"{"kwargs":{"values":[1]}}"#;
    let done = service.post("/api/task/apply/process_data", call).json();
    assert_eq!(done["state"], "SUCCESS", "{done}");
    service.eventually("the task is counted", || (count() > before).then_some(()));
    let answer = service.get("/metrics");
    let kind = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(answer.header("content-type"), kind);
    assert!(
        answer
            .body
            .contains("celery_queue_length{queue_name=\"celery\"} ")
    );
}

pub fn keys_open_its_routes(service: &Service) {
    let by = |headers: &[(&str, &str)], method: &str, path: &str| {
        service.bare(
            method,
            path,
            headers,
            if method == "POST" { "{}" } else { "" },
        )
    };
    for (method, path) in ROUTES {
        by(&[], method, path).is(401, MISSING);
    }
    let healthy = by(&[], "GET", "/healthcheck");
    assert_eq!((healthy.status, &*healthy.body), (200, "OK"));
    let reads = service.new_key("flower-reader", "read");
    for (method, path) in ROUTES {
        let answer = by(&[("x-api-key", &reads)], method, path);
        match method {
            "POST" => answer.is(403, FORBIDDEN),
            _ => assert_ne!(answer.status, 401, "{path}"),
        }
    }
    // The numbers of all tasks.
    for path in ["/metrics", "/api/queues/length"] {
        assert_eq!(by(&[("x-api-key", &reads)], "GET", path).status, 403);
        for authorization in [
            basic(service.key().unwrap()),
            format!("Bearer {}", service.key().unwrap()),
        ] {
            let answer = by(&[("authorization", &authorization)], "GET", path);
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    let wrong = basic("as_0123456789abcdef_wrong");
    assert_eq!(
        by(&[("authorization", &wrong)], "GET", "/api/tasks").status,
        401
    );
}

fn basic(key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("anybody:{key}")))
}

pub fn a_caller_sees_own_tasks_alone(service: &Service) {
    let ada = basic(&service.new_key("flower-ada", "read,write"));
    let eve = basic(&service.new_key("flower-eve", "read,write"));
    let by = |who: &str, method: &str, path: &str, body: &str| -> Answer {
        let headers = [("authorization", who), ("content-type", "application/json")];
        service.bare(method, path, &headers, body)
    };
    let call = r#"{"kwargs":{"values":[1]},"countdown":600}"#;
    let submitted = by(&ada, "POST", "/api/task/async-apply/process_data", call);
    let id = submitted.json()["task-id"].as_str().unwrap().to_owned();
    let has = |who: &str| {
        let tasks = by(who, "GET", "/api/tasks", "").json();
        tasks.as_object().unwrap().contains_key(&id)
    };
    service.eventually("the list has the task", || has(&ada).then_some(()));
    assert!(!has(&eve));
    let info = format!("/api/task/info/{id}");
    assert_eq!(by(&ada, "GET", &info, "").json()["client"], "flower-ada");
    for (method, path) in [
        ("GET", info),
        ("POST", format!("/api/task/revoke/{id}")),
        ("POST", format!("/api/task/abort/{id}")),
    ] {
        let answer = by(&eve, method, &path, "");
        assert_eq!(
            (answer.status, answer.body),
            (404, format!("Unknown task '{id}'"))
        );
    }
    let result = by(&eve, "GET", &format!("/api/task/result/{id}"), "").json();
    assert_eq!(result, json!({"task-id": id, "state": "PENDING"}));
    let taken = format!(r#"{{"kwargs":{{}},"task_id":"{id}"}}"#);
    let answer = by(&eve, "POST", "/api/task/async-apply/process_data", &taken);
    assert_eq!(answer.status, 403, "{answer:?}");
    let revoked = by(&ada, "POST", &format!("/api/task/revoke/{id}"), "");
    assert_eq!(revoked.json()["message"], format!("Revoked '{id}'"));
    let state = by(&ada, "GET", &format!("/api/task/result/{id}"), "").json();
    let expected =
        json!({"task-id": id, "state": "REVOKED", "result": "TaskRevokedError('revoked')"});
    assert_eq!(state, expected);
}
