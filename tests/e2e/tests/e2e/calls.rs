//! Records the functions' calls to AWS, and checks them against AWS' own models and documented
//! limits, because the local endpoints accept more than AWS does.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use local_stack::http::{Body, Forwarder, Request, Response, Server};
use local_stack::{Context, Result, project, setup};
use serde_json::{Value, json};

use crate::service::Service;

/// A proxy between the functions and the AWS endpoints that records each signed call.
pub struct Recorder {
    server: Server,
    record: Arc<Record>,
}

struct Record {
    path: PathBuf,
    file: Mutex<BufWriter<File>>,
}

impl Recorder {
    /// Starts a recorder in front of `endpoint`.
    pub fn start(endpoint: &str) -> Result<Recorder> {
        let path = scratch(&format!("calls-{}.jsonl", std::process::id()));
        let file = File::create(&path).context("cannot record calls")?;
        let record = Arc::new(Record {
            path,
            file: Mutex::new(BufWriter::new(file)),
        });
        let forwarder = Forwarder::new(endpoint);
        let recording = Arc::clone(&record);
        let server = Server::start(0, move |request: &Request| {
            let answer = forwarder.forward(request);
            let answer = answer.unwrap_or_else(|error| {
                Response::json(503, &json!({"message": error.to_string()}))
            });
            // Functions open their connections with an unsigned request, which is not a call to
            // AWS.
            if request.header("authorization").is_some() {
                recording.add(&line(request, is_invalid(&answer)));
            }
            answer
        })?;
        Ok(Recorder { server, record })
    }

    /// The address for AWS calls.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// The file with all calls so far.
    fn written(&self) -> &Path {
        self.record.file.lock().unwrap().flush().unwrap();
        &self.record.path
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.record.path);
    }
}

impl Record {
    fn add(&self, line: &str) {
        let mut file = self.file.lock().unwrap();
        writeln!(file, "{line}").expect("a call is written down");
    }
}

/// Whether the endpoints refused a call because of its content, as AWS does. Functions expect some
/// of these refusals: DynamoDB, for example, decides whether an item is too large.
fn is_invalid(answer: &Response) -> bool {
    match &answer.body {
        Body::Whole(body) if answer.status == 400 => {
            String::from_utf8_lossy(body).contains("ValidationException")
        }
        _ => false,
    }
}

/// A call in the form that the validator reads.
fn line(request: &Request, refused: bool) -> String {
    json!({
        "refused": refused,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "authorization": request.header("authorization"),
        "target": request.header("x-amz-target"),
        "content_type": request.header("content-type"),
        "body": String::from_utf8_lossy(&request.body),
    })
    .to_string()
}

fn scratch(name: &str) -> PathBuf {
    let folder = project::target().join("e2e-calls");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn validate(calls: &Path) -> (Output, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("calls/validate.py");
    let mut command = Command::new(setup::python_with_botocore().unwrap());
    command.arg(script).arg(calls);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().unwrap();
    let told = [&output.stdout[..], &output.stderr[..]].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (output, told)
}

pub fn are_accepted_by_aws(service: &Service) {
    // At least one call to check, also when this test runs alone.
    let task_id = service.process("{}");
    service.result(&task_id);
    let (output, told) = validate(service.recorder().written());
    assert!(output.status.success(), "{told}");
    println!("{told}");
}

/// The validator finds calls that AWS would refuse.
pub fn that_aws_refuses_are_detected(_: &Service) {
    let calls = scratch("refused.jsonl");
    for (call, expected) in refused() {
        std::fs::write(&calls, format!("{call}\n")).unwrap();
        let (output, told) = validate(&calls);
        assert_eq!(output.status.code(), Some(1), "{expected}: {told}");
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let (call, _) = &refused()[0];
    let right = call.to_string().replace("999", "9");
    let known = call
        .to_string()
        .replace(r#""refused":false"#, r#""refused":true"#);
    for (call, expected) in [
        (right, "1 sqs SendMessage\n"),
        (known, "1 sqs SendMessage, refused"),
    ] {
        std::fs::write(&calls, call).unwrap();
        let (output, told) = validate(&calls);
        assert!(output.status.success() && told.contains(expected), "{told}");
    }
    std::fs::write(&calls, "").unwrap();
    assert_eq!(
        validate(&calls).0.status.code(),
        Some(1),
        "a file without calls"
    );
}

/// Calls that the local endpoints may accept, each with the reason for which AWS refuses it.
fn refused() -> Vec<(Value, &'static str)> {
    let send = |body: Value| call("sqs", "AmazonSQS.SendMessage", &body);
    let put = |body: Value| call("dynamodb", "DynamoDB_20120810.PutItem", &body);
    let item = |value: Value| put(json!({"TableName": "table", "Item": {"a": value}}));
    let mut unschedule = call("scheduler", "", &Value::Null);
    unschedule["method"] = json!("DELETE");
    unschedule["path"] = json!("/schedules/a");
    unschedule["query"] = json!("groupName=a%20b");
    vec![
        (
            send(json!({"QueueUrl": "q", "MessageBody": "a", "DelaySeconds": 999})),
            "DelaySeconds of 999",
        ),
        (send(json!({"QueueUrl": "q"})), "MessageBody is missing"),
        (
            send(json!({"QueueUrl": "q", "MessageBody": "a", "Delay": 1})),
            "Delay is unknown",
        ),
        (
            send(json!({"QueueUrl": "q", "MessageBody": "a\u{1}"})),
            "a character that SQS refuses",
        ),
        (
            send(json!({"QueueUrl": "q", "MessageBody": "x".repeat(1_048_577)})),
            "a message of 1048577 bytes",
        ),
        (
            call("sqs", "AmazonSQS.Send", &json!({})),
            "is not an operation of sqs",
        ),
        (item(json!({"N": 5})), "not a string"),
        (item(json!({"N": "1", "S": "1"})), "2 members of a union"),
        (item(json!({"N": "1e126"})), "out of range"),
        (
            item(json!({"S": "x".repeat(409_600)})),
            "an item of 409601 bytes",
        ),
        (
            put(json!({"TableName": "table", "Item": {}, "ConditionExpression": "a = :b"})),
            ":b is used in an expression but not given",
        ),
        (
            put(json!({"TableName": "table", "Item": {},
                "ExpressionAttributeNames": {"#a": "a"}})),
            "#a is given but not used",
        ),
        (unschedule, "does not match"),
    ]
}

fn call(service: &str, target: &str, body: &Value) -> Value {
    let scope = format!("Credential=test/20250101/us-east-1/{service}/aws4_request");
    json!({
        "refused": false,
        "method": "POST", "path": "/", "query": "",
        "authorization": format!("AWS4-HMAC-SHA256 {scope}"),
        "target": target,
        "content_type": "application/x-amz-json-1.0",
        "body": if body.is_null() { String::new() } else { body.to_string() },
    })
}
