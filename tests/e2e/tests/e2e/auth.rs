//! Authentication, scopes and the visibility of tasks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::service::{Answer, KEY_CACHE, Service};

const MISSING: &str = r#"{"detail":"Not authenticated"}"#;
const INVALID: &str = r#"{"detail":"Invalid authentication credentials"}"#;
const FORBIDDEN: &str = r#"{"detail":"Forbidden"}"#;
const UNKNOWN: &str = r#"{"detail":"Task not found"}"#;

/// Makes a request with an API key.
fn by(service: &Service, key: &str, method: &str, path: &str, body: &str) -> Answer {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    service.bare(method, path, &headers, body)
}

/// The id of a key: the text between its underscores.
fn id_of(key: &str) -> &str {
    key.split('_').nth(1).expect("an id")
}

fn is_unauthorized(answer: &Answer, body: &str) {
    answer.is(401, body);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

pub fn every_route_refuses_requests_without_a_key(service: &Service) {
    let document = service.bare("GET", "/openapi.json", &[], "").json();
    let wrong = format!("as_0123456789abcdef_{}", "A".repeat(43));
    let mut refused = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{item_id}", "1")
            .replace("{user_id}", "1")
            .replace("{task_id}", "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e");
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"] == json!([]) {
                continue;
            }
            let method = method.to_uppercase();
            for path in [path.as_str(), path.trim_end_matches('/')] {
                is_unauthorized(&service.bare(&method, path, &[], "{}"), MISSING);
                is_unauthorized(&by(service, &wrong, &method, path, "{}"), INVALID);
            }
            refused += 1;
        }
    }
    assert!(refused >= 19, "{refused}");
}

pub fn the_documentation_is_open(service: &Service) {
    for path in ["/", "/docs", "/redoc", "/openapi.json"] {
        assert_eq!(service.bare("GET", path, &[], "").status, 200, "{path}");
    }
    // As in FastAPI, an unknown path needs no authentication.
    let unknown = service.bare("GET", "/nope", &[], "");
    unknown.is(404, r#"{"detail":"Not Found"}"#);
}

pub fn a_key_is_accepted_in_either_header(service: &Service) {
    let key = service.new_key("headers", "read");
    for (name, value) in [
        ("x-api-key", key.clone()),
        ("X-API-KEY", key.clone()),
        ("Authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {key}")),
        ("AUTHORIZATION", format!("BEARER {key}")),
    ] {
        let answer = service.bare("GET", "/items/", &[(name, &value)], "");
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    let bearer = format!("Bearer {key}");
    let both = [("authorization", &*bearer), ("x-api-key", &*key)];
    assert_eq!(service.bare("GET", "/items/", &both, "").status, 200);
}

pub fn scopes_are_enforced(service: &Service) {
    let reads = service.new_key("reader", "read");
    let writes = service.new_key("writer", "write");
    let all = service.new_key("manager", "admin");
    assert_eq!(by(service, &reads, "GET", "/items/", "").status, 200);
    by(service, &reads, "POST", "/items/", "{}").is(403, FORBIDDEN);
    by(service, &reads, "PUT", "/items/1", "{}").is(403, FORBIDDEN);
    by(service, &reads, "DELETE", "/users/1", "").is(403, FORBIDDEN);
    by(service, &reads, "POST", "/process/", "{}").is(403, FORBIDDEN);
    assert_eq!(by(service, &writes, "POST", "/items/", "{}").status, 200);
    by(service, &writes, "GET", "/items/", "").is(403, FORBIDDEN);
    by(service, &writes, "GET", "/result/x", "").is(403, FORBIDDEN);
    assert_eq!(by(service, &all, "GET", "/items/", "").status, 200);
    assert_eq!(by(service, &all, "POST", "/items/", "{}").status, 200);
}

pub fn wrong_and_expired_keys_are_refused(service: &Service) {
    let key = service.new_key("expiring", "read");
    let (head, last) = key.split_at(key.len() - 1);
    let nearly = format!("{head}{}", if last == "A" { "E" } else { "A" });
    for wrong in [&*nearly, head, "x", &key.to_uppercase()] {
        is_unauthorized(&by(service, wrong, "GET", "/items/", ""), INVALID);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expire = json!({
        "TableName": "async-service-api-keys",
        "Key": {"id": {"S": id_of(&key)}},
        "UpdateExpression": "SET expires_at = :now",
        "ExpressionAttributeValues": {":now": {"N": now.as_secs().to_string()}},
    });
    service.dynamodb("UpdateItem", expire);
    service.eventually("an expired key is refused", || {
        let answer = by(service, &key, "GET", "/items/", "");
        (answer.status == 401).then_some(())
    });
    is_unauthorized(&by(service, &key, "GET", "/items/", ""), INVALID);
}

pub fn a_revoked_key_is_refused_in_time(service: &Service) {
    let key = service.new_key("revoked", "read");
    is_refused_in_time(service, &key, || by(service, &key, "GET", "/items/", ""));
}

fn is_refused_in_time(service: &Service, key: &str, ask: impl Fn() -> Answer) {
    assert_eq!(ask().status, 200);
    service.keys(&["revoke", id_of(key)]);
    let revoked = Instant::now();
    loop {
        // Before the end of the cache time both answers are correct; after it only a 401 is.
        let late = revoked.elapsed() > KEY_CACHE;
        let answer = ask();
        if answer.status == 401 {
            is_unauthorized(&answer, INVALID);
            return;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            !late,
            "a revoked key is accepted after {:?}",
            revoked.elapsed()
        );
    }
}

pub fn a_gateway_may_cache_the_authorizer_s_answer(service: &Service) {
    let gateway = service.gateway_that_keeps_answers();
    // Without a slash at the end: with one, a gateway may not ask the authorizer.
    let url = format!("http://127.0.0.1:{}/items", gateway.port());
    let key = service.new_key("kept", "read");
    let bearer = format!("Bearer {key}");
    let ask = |method, headers: &[(&str, &str)]| service.bare(method, &url, headers, "{}");
    // The gateway itself refuses requests without the header that is the cache key.
    let unauthorized = r#"{"message":"Unauthorized"}"#;
    ask("GET", &[]).is(401, unauthorized);
    ask("GET", &[("x-api-key", &key)]).is(401, unauthorized);
    // The cached answer is the caller with all scopes, so each route still checks its own scope.
    assert_eq!(ask("GET", &[("authorization", &bearer)]).status, 200);
    ask("POST", &[("authorization", &bearer)]).is(403, FORBIDDEN);
    is_refused_in_time(service, &key, || ask("GET", &[("authorization", &bearer)]));
}

pub fn only_one_key_in_one_header_counts(service: &Service) {
    let key = service.new_key("smuggler", "read");
    let other = service.new_key("smuggled", "read,write,admin");
    let bearer = |key: &str| format!("Bearer {key}");
    let (own, foreign) = (bearer(&key), bearer(&other));
    let basic = format!("Basic {key}");
    for headers in [
        vec![("authorization", &*own), ("authorization", &*foreign)],
        vec![("x-api-key", &*key), ("x-api-key", &*other)],
        vec![("x-api-key", &*key), ("X-API-Key", &*other)],
        vec![("authorization", &*own), ("x-api-key", &*other)],
        vec![("authorization", &*basic), ("x-api-key", &*key)],
        vec![("authorization", &*key)],
        vec![("x-api-key", &*own)],
    ] {
        let answer = service.bare("GET", "/items/", &headers, "");
        is_unauthorized(&answer, INVALID);
    }
    // Nothing else authenticates: no query, no cookie, and no header that resembles the gateway's.
    for name in ["x-api-key", "api_key", "access_token", "authorization"] {
        let path = format!("/items/?{name}={key}");
        is_unauthorized(&service.bare("GET", &path, &[], ""), MISSING);
    }
    for (name, value) in [
        ("cookie", &*format!("x-api-key={key}")),
        ("proxy-authorization", &*own),
        ("x-api-key2", &*key),
        ("x-caller", "admin"),
        ("x-amzn-caller", "admin"),
        (
            "x-amzn-request-context",
            r#"{"authorizer":{"lambda":{"caller":"a","scopes":"admin"}}}"#,
        ),
        (
            "lambda-runtime-client-context",
            r#"{"caller":"a","scopes":"admin"}"#,
        ),
    ] {
        let answer = service.bare("GET", "/items/", &[(name, value)], "");
        is_unauthorized(&answer, MISSING);
    }
    // Such headers give a key no further scope either.
    let headers = [
        ("x-api-key", &*key),
        ("x-amzn-scopes", "admin"),
        ("x-caller", "admin"),
    ];
    service
        .bare("POST", "/items/", &headers, "{}")
        .is(403, FORBIDDEN);
}

pub fn oversized_headers_do_not_authenticate(service: &Service) {
    let key = service.new_key("large", "read");
    let large = "a".repeat(9_000);
    for (name, value) in [
        ("x-api-key", format!("{key}{large}")),
        ("authorization", format!("Bearer {large}")),
        (
            "authorization",
            format!("Bearer {}{key}", " ".repeat(9_000)),
        ),
    ] {
        let answer = service.bare("GET", "/items/", &[(name, &value)], "");
        // Spaces before a credential are ignored, however many.
        let expected = if value.ends_with(&key) { 200 } else { 401 };
        assert_eq!(answer.status, expected, "{name}");
        assert!(!answer.body.contains(&large));
    }
    let huge = status_of(service, &format!("x-api-key: {key}{}", "a".repeat(200_000)));
    assert!(
        huge.is_none_or(|status| (400..500).contains(&status)),
        "{huge:?}"
    );
    assert_eq!(status_of(service, &format!("x-api-key: {key}")), Some(200));
}

/// The status of the answer to a request with this header; `None` when the connection is closed
/// without an answer.
fn status_of(service: &Service, header: &str) -> Option<u16> {
    let url = service.url();
    let (_, rest) = url.split_once("://").unwrap();
    let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if prefix.is_empty() { "" } else { "/" };
    let head = format!("GET {slash}{prefix}/items/ HTTP/1.1\r\nhost: {host}\r\n{header}\r\n");
    let mut connection = TcpStream::connect(host).unwrap();
    // The server may close the connection before it reads all of a head that is too large.
    let _ = connection.write_all(format!("{head}connection: close\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1)?.parse().ok()
}

pub fn another_caller_s_task_is_not_found(service: &Service) {
    let ada = service.new_key("ada", "read,write");
    let eve = service.new_key("eve", "read,write");
    let submitted = by(service, &ada, "POST", "/process/", r#"{"values":[1]}"#);
    let id = submitted.json()["task_id"].as_str().unwrap().to_owned();
    service.eventually("the task ends", || {
        let result = by(service, &ada, "GET", &format!("/result/{id}"), "");
        (result.json()["status"] == "completed").then_some(())
    });
    let routes = [
        ("GET", format!("/result/{id}")),
        ("GET", format!("/tasks/{id}")),
        ("GET", format!("/tasks/{id}?wait=5")),
        ("DELETE", format!("/tasks/{id}")),
        ("POST", format!("/tasks/{id}/retry")),
    ];
    for (method, path) in &routes {
        by(service, &eve, method, path, "").is(404, UNKNOWN);
    }
    // The task's own caller sees the task, unchanged by the requests above.
    let statuses = routes.map(|(method, path)| by(service, &ada, method, &path, "").status);
    assert_eq!(statuses, [200, 200, 200, 409, 409]);
    let own = by(service, &ada, "GET", &format!("/tasks/{id}"), "");
    assert_eq!(own.json()["caller"], "ada");

    let lists = |key: &str| {
        let answer = by(service, key, "GET", "/tasks/?limit=100", "");
        let tasks = answer.json();
        let ids = tasks.as_array().unwrap().iter();
        ids.map(|task| task["task_id"].clone())
            .collect::<Vec<Value>>()
    };
    service.eventually("the list has the task", || {
        lists(&ada).contains(&json!(id)).then_some(())
    });
    assert!(
        lists(service.key().unwrap()).contains(&json!(id)),
        "an admin sees the task"
    );
    assert_eq!(lists(&eve), Vec::<Value>::new());
    assert_eq!(service.get(&format!("/tasks/{id}")).status, 200);
}

pub fn numbers_are_of_own_tasks_alone(service: &Service) {
    let counted = service.new_key("counted", "read,write");
    let other = service.new_key("uncounted", "read,write");
    let stats = |key: &str| {
        let answer = by(service, key, "GET", "/stats/", "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    by(service, &counted, "POST", "/process/", r#"{"values":[1]}"#);
    let own = service.eventually("the numbers have the caller's task", || {
        let own = stats(&counted);
        (own["states"]["completed"]["count"] == 1).then_some(own)
    });
    assert_eq!(own["jobs"][0]["completed"], 1, "{own}");
    assert_eq!(own["steps"].as_array().map(Vec::len), Some(1), "{own}");
    let others = stats(&other);
    assert_eq!(
        (&others["steps"], &others["jobs"]),
        (&json!([]), &json!([]))
    );
    let states = others["states"].as_object().unwrap();
    assert!(states.values().all(|state| state["count"] == 0), "{others}");
    for hidden in ["queues", "dead_letters"] {
        assert!(
            own.get(hidden).is_none() && others.get(hidden).is_none(),
            "{hidden}"
        );
    }
    // An admin sees the numbers of all.
    let all = service.eventually("the numbers of all have the task", || {
        let all = stats(service.key().unwrap());
        (all["jobs"][0]["completed"].as_u64() >= Some(1)).then_some(all)
    });
    assert!(
        all["queues"].is_array() && all["dead_letters"].is_u64(),
        "{all}"
    );
    let writer = service.new_key("writer", "write");
    by(service, &writer, "GET", "/stats/", "").is(403, FORBIDDEN);
}

pub fn idempotency_keys_of_two_callers_are_separate(service: &Service) {
    let ada = service.new_key("ada", "read,write");
    let eve = service.new_key("eve", "read,write");
    let submit = |key: &str, values: &str| {
        let headers = [
            ("x-api-key", key),
            ("idempotency-key", "order-1"),
            ("content-type", "application/json"),
        ];
        let body = format!(r#"{{"job":"process_data","input":{{"values":{values}}}}}"#);
        let answer = service.bare("POST", "/tasks/", &headers, &body);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["task_id"].clone()
    };
    let (first, second) = (submit(&ada, "[1]"), submit(&eve, "[2]"));
    assert_ne!(first, second);
    assert_eq!(submit(&ada, "[1]"), first);
    // Two keys with the same name belong to the same caller.
    let again = service.new_key("ada", "write");
    assert_eq!(submit(&again, "[1]"), first);
}

pub fn keys_are_listed_without_their_secrets(service: &Service) {
    let key = service.new_key("listed", "read,write");
    service.keys(&["revoke", id_of(&key)]);
    let list = service.keys(&["list"]);
    let line = list.lines().find(|line| line.contains(id_of(&key)));
    let line = line.expect("the line of the key");
    for part in ["revoked", "listed", "[read write]", "expires never"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!list.contains(secret_of(&key)));
}

/// The secret part of a key.
pub fn secret_of(key: &str) -> &str {
    key.splitn(3, '_').nth(2).expect("a secret")
}
