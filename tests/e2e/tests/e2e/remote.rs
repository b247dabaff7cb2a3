//! Remote jobs: bodies in a Python function inside of the local AWS endpoints, and behind a URL.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use ureq::http::Request;

use crate::aws::credential;
use crate::service::Service;

/// The name of the function.
const FUNCTION: &str = "e2e-bodies";

/// The function's code, an example of `docs/REMOTE.md` with more outcomes.
const CODE: &str = r#"
import json
import os
import urllib.request


def handler(event, context):
    task, given = event["task"], event["input"]
    kind = given["kind"]
    if kind == "add":
        return {"result": given["a"] + given["b"]}
    if kind == "error":
        return {"error": {"type": "ValueError", "message": "no", "traceback": "line 1", "module": "builtins"}}
    if kind == "raise":
        raise KeyError("a")
    if kind == "nonsense":
        return {"resullt": 1}
    if kind == "retry":
        if given["left"] == 0:
            return {"result": task["attempt"]}
        return {"retry": {"delay": 0, "input": {**given, "left": given["left"] - 1}}}
    if kind == "crash":
        if task["attempt"] == 1:
            os._exit(1)
        return {"result": task["attempt"]}
    if kind == "progress":
        report = {"done": 1, "total": 2, "message": "half"}
        request = urllib.request.Request(
            event["progress_url"],
            data=json.dumps(report).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return {"result": answer.status}
"#;

/// The variables of the functions: which jobs have which bodies.
pub fn variables() -> [(&'static str, String); 2] {
    let jobs = format!(
        "python.*={FUNCTION},url.*=http://{}/run?secret=1",
        url_body()
    );
    let secret = STANDARD.encode([7; 24]);
    [
        ("REMOTE_JOBS", jobs),
        ("REMOTE_SECRETS", format!("whsec_{secret}")),
    ]
}

/// The address of the body behind a URL, which runs as long as the tests.
pub fn url_body() -> String {
    static BODY: OnceLock<u16> = OnceLock::new();
    let port = BODY.get_or_init(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| {
                std::thread::spawn(move || answer(stream));
            })
        });
        port
    });
    format!("127.0.0.1:{port}")
}

/// Answers one request of the worker.
fn answer(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut length, mut is_signed) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_lowercase();
        if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.parse().ok()?;
        }
        is_signed |= line.starts_with("webhook-signature: v1,");
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let event: Value = serde_json::from_slice(&body).ok()?;
    let (task, given) = (&event["task"], &event["input"]);
    let (status, body) = match given["kind"].as_str()? {
        _ if !is_signed => ("401 Unauthorized", String::new()),
        "echo" => (
            "200 OK",
            json!({"result": {"job": task["job"]}}).to_string(),
        ),
        "busy" if task["attempt"] == 1 => ("503 Busy\r\nretry-after: 1", String::new()),
        "busy" => ("200 OK", json!({"result": task["attempt"]}).to_string()),
        "redirect" => ("302 Found\r\nlocation: http://127.0.0.1/", String::new()),
        _ => ("404 Not Found", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    let answer = format!("{head}connection: close\r\n\r\n{body}");
    stream.write_all(answer.as_bytes()).ok()
}

/// Submits a task and waits for its end.
fn run(service: &Service, job: &str, input: &Value, options: &Value) -> (String, Value) {
    let body = json!({"job": job, "input": input, "options": options}).to_string();
    let accepted = service.post("/tasks/", &body);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let id = accepted.json()["task_id"].as_str().unwrap().to_owned();
    let result = service.result(&id);
    (id, result)
}

pub fn run_in_a_function(service: &Service) {
    create(service);
    let run = |input: Value, options: Value| run(service, "python.body", &input, &options).1;
    let none = || json!({});
    let completed = |result: u64| json!({"status": "completed", "result": result});
    assert_eq!(
        run(json!({"kind": "add", "a": 2, "b": 3}), none()),
        completed(5)
    );
    let error =
        json!({"type": "ValueError", "message": "no", "traceback": "line 1", "module": "builtins"});
    let failed = json!({"status": "failed", "error": error});
    assert_eq!(run(json!({"kind": "error"}), none()), failed);
    let once = json!({"max_retries": 0});
    // The emulator keeps only the exception's message; `remote::function` has Lambda's own words.
    let raised = run(json!({"kind": "raise"}), once.clone());
    let message = raised["error"]["message"].as_str().unwrap();
    assert!(
        raised["status"] == "failed" && message.ends_with("'a'"),
        "{raised}"
    );
    let nonsense = run(json!({"kind": "nonsense"}), none());
    assert_eq!(nonsense["error"]["type"], "InvalidAnswer", "{nonsense}");
    // The attempts that the body asks for do not count.
    assert_eq!(
        run(json!({"kind": "retry", "left": 3}), once.clone()),
        completed(4)
    );
    assert_eq!(run(json!({"kind": "crash"}), none()), completed(2));
    let crashed = run(json!({"kind": "crash"}), once);
    assert_eq!(crashed["status"], "failed", "{crashed}");
}

pub fn report_their_progress(service: &Service) {
    create(service);
    let (id, result) = run(
        service,
        "python.body",
        &json!({"kind": "progress"}),
        &json!({}),
    );
    assert_eq!(result, json!({"status": "completed", "result": 204}));
    let task = service.get(&format!("/tasks/{id}")).json();
    assert_eq!(task["progress"]["message"], "half", "{task}");
    // The attempt is over, and a token of another task is none.
    let forged = service.post(&format!("/tasks/{id}/progress?token=abc"), r#"{"done": 2}"#);
    assert_eq!(forged.status, 404, "{forged:?}");
}

pub fn run_behind_a_url(service: &Service) {
    let run = |kind: &str| run(service, "url.any", &json!({"kind": kind}), &json!({})).1;
    let echoed = json!({"status": "completed", "result": {"job": "url.any"}});
    assert_eq!(run("echo"), echoed);
    assert_eq!(run("busy"), json!({"status": "completed", "result": 2}));
    let redirected = run("redirect");
    assert_eq!(redirected["error"]["type"], "HttpError", "{redirected}");
    let missing = run("missing");
    assert_eq!(missing["error"]["type"], "HttpError", "{missing}");
}

pub fn are_listed_without_their_secrets(service: &Service) {
    let jobs = service.get("/jobs/").json();
    let of = |name: &str| {
        let jobs = jobs.as_array().unwrap().iter();
        jobs.clone().find(|job| job["name"] == name).unwrap()["body"].clone()
    };
    assert_eq!(
        of("python.*"),
        json!({"kind": "function", "place": FUNCTION})
    );
    let place = format!("http://{}/run", url_body());
    assert_eq!(of("url.*"), json!({"kind": "url", "place": place}));
    let unknown = service.post("/tasks/", r#"{"job": "other", "input": 1}"#);
    assert_eq!(unknown.status, 422, "{unknown:?}");
}

/// Creates the function, once.
fn create(service: &Service) {
    static CREATED: OnceLock<()> = OnceLock::new();
    CREATED.get_or_init(|| {
        let function = json!({
            "FunctionName": FUNCTION,
            "Runtime": "python3.12",
            "Handler": "body.handler",
            "Role": "arn:aws:iam::000000000000:role/bodies",
            "Timeout": 20,
            "Code": {"ZipFile": STANDARD.encode(zip("body.py", CODE.as_bytes()))},
        });
        let request = Request::post(format!("{}/2015-03-31/functions", service.aws_endpoint()))
            .header("content-type", "application/json")
            .header("authorization", credential("lambda"));
        let created = service.ask(request.body(function.to_string().into_bytes()));
        assert_eq!(created.status, 201, "{created:?}");
    });
}

/// A ZIP archive of one file, stored without compression (APPNOTE.TXT, 4.3).
fn zip(name: &str, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
    // Version, flags, method, time, date, checksum, sizes, lengths of name and extra field.
    let mut common = [20u16, 0, 0, 0, 33].map(u16::to_le_bytes).concat();
    common.extend(crc32(data).to_le_bytes());
    common.extend([length, length].concat());
    common.extend([name_length, [0, 0]].concat());
    let mut archive = b"PK\x03\x04".to_vec();
    archive.extend([&common, name.as_bytes(), data].concat());
    let directory = u32::try_from(archive.len()).unwrap();
    archive.extend(b"PK\x01\x02\x14\x00");
    archive.extend(&common);
    // No comment, the first disk, a plain file for everybody to read, at the start.
    archive.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xa4, 0x81, 0, 0, 0, 0]);
    archive.extend(name.as_bytes());
    let size = u32::try_from(archive.len()).unwrap() - directory;
    archive.extend(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    archive.extend([size.to_le_bytes(), directory.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

fn crc32(data: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        let mut sum = sum ^ u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1));
        }
        sum
    };
    !data.iter().fold(u32::MAX, step)
}
