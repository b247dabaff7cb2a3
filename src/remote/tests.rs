//! Remote jobs against bodies on this machine.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::bodies::Bodies;
use super::job::{Ways, with_remote};
use super::progress::{ProgressLinks, ProgressTokens};
use crate::aws::Aws;
use crate::clock::now_ms;
use crate::config::Config;
use crate::fetch::{AllowList, Fetcher, Limits};
use crate::invoke::Invoker;
use crate::tasks::context::TaskContext;
use crate::tasks::job::{JobError, Retry};
use crate::tasks::registry::{Call, Ending, Output, Registry};
use crate::tasks::task::{Origin, Task};
use crate::trace::Trace;

mod answers;

/// The requests that a server has seen: head and body of each.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A server that answers every request with the same bytes and closes.
struct Server {
    port: u16,
    seen: Seen,
}

/// How a server answers.
#[derive(Clone)]
enum Reply {
    Whole(Vec<u8>),
    /// A byte now and then, for ever.
    Drip(Vec<u8>),
    /// Nothing: the connection ends.
    Nothing,
}

impl Server {
    async fn start(reply: Reply) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen::default();
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, reply.clone(), Arc::clone(&all)));
            }
        });
        Server { port, seen }
    }

    /// Answers with this status, these headers and this body.
    async fn answering(status: &str, headers: &str, body: &str) -> Server {
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n",
            body.len()
        );
        let answer = format!("{head}connection: close\r\n\r\n{body}");
        Server::start(Reply::Whole(answer.into_bytes())).await
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn seen(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, seen: Seen) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.split("content-length: ").nth(1)?;
    let length = length.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8(body).ok()?;
    seen.lock().unwrap().push((head, body));
    match reply {
        Reply::Whole(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Reply::Drip(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(b" ").await.ok()?;
            }
        }
        Reply::Nothing => {}
    }
    Some(())
}

/// Whether 127.0.0.1 may be posted to.
const OPEN: bool = true;

/// One attempt of a remote job whose body is at `target`, with Lambda's API at `lambda`.
async fn attempt(target: &str, lambda: &Server, is_open: bool) -> Result<Output, JobError> {
    attempt_of(call(Duration::from_secs(30)), target, lambda, is_open).await
}

fn task() -> Task {
    let input = RawValue::from_string(r#"{"a":1.0}"#.to_owned()).unwrap();
    let id = uuid::Uuid::from_u128(7);
    let mut task = Task::new(id, "remote.job", input, 5);
    task.caller = Some("ada".to_owned());
    task
}

fn call(time: Duration) -> Call {
    let task = Arc::new(task());
    Call {
        input: task.input().unwrap().to_owned(),
        context: TaskContext::detached(task.id.clone()),
        task,
        deadline: now_ms() + u64::try_from(time.as_millis()).unwrap(),
        limit: Some(Duration::from_millis(1_500)),
    }
}

async fn attempt_of(
    call: Call,
    target: &str,
    lambda: &Server,
    is_open: bool,
) -> Result<Output, JobError> {
    let config = Config::from([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    let endpoint = format!("http://{}", lambda.host());
    let aws = Aws::new(&config).unwrap();
    let allowed: AllowList = if is_open {
        "127.0.0.1".parse().unwrap()
    } else {
        AllowList::none()
    };
    let tokens = ProgressTokens::new("secret");
    let ways = Ways {
        invoker: Invoker::new(&aws.config, Some(&endpoint), Duration::from_secs(30)),
        fetcher: Fetcher::public(Limits::default(), allowed),
        secrets: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap(),
        links: Some(ProgressLinks::new("https://api.example", tokens)),
        formats: Vec::new(),
    };
    let bodies: Bodies = format!("remote.*={target}").parse().unwrap();
    let jobs = with_remote(Registry::default(), &bodies, ways);
    jobs.find("remote.job").unwrap().run(call).await
}

async fn posted(server: &Server) -> Result<Output, JobError> {
    let url = format!("http://{}/run?key=1", server.host());
    attempt(&url, server, OPEN).await
}

async fn invoked(server: &Server) -> Result<Output, JobError> {
    attempt("reports:live", server, OPEN).await
}

#[tokio::test]
async fn a_url_gets_a_signed_request_with_the_task() {
    let server = Server::answering("200 OK", "", r#"{"result": {"b": 2.50}}"#).await;
    let output = posted(&server).await.unwrap();
    assert_eq!(
        (output.json.as_str(), output.ending),
        (r#"{"b": 2.50}"#, Ending::Completed)
    );
    assert!(output.calls.is_none());
    let (head, body) = server.seen().remove(0);
    assert!(head.starts_with("post /run?key=1 http/1.1\r\n"), "{head}");
    let id = uuid::Uuid::from_u128(7);
    assert!(
        head.contains(&format!("webhook-id: {id}.1.1\r\n")),
        "{head}"
    );
    assert!(head.contains("webhook-signature: v1,") && head.contains("webhook-timestamp: "));
    assert!(head.contains("content-type: application/json\r\n"));
    let request: Value = serde_json::from_str(&body).unwrap();
    let deadline = request["deadline"].as_u64().unwrap();
    assert!(deadline > now_ms() && deadline <= now_ms() + 30_000);
    let progress = request["progress_url"].as_str().unwrap();
    assert!(progress.starts_with(&format!("https://api.example/tasks/{}", "00000000")));
    let expected = json!({
        "version": 1,
        "task": {"id": id, "job": "remote.job", "run": 1, "attempt": 1, "submitted_at": 5, "caller": "ada"},
        "deadline": deadline,
        "time_limit": 1.5,
        "progress_url": progress,
        "input": {"a": 1.0},
    });
    assert_eq!(request, expected);
    assert!(
        body.contains(r#""input":{"a":1.0}"#),
        "numbers are exact: {body}"
    );
}

#[tokio::test]
async fn a_body_gets_the_trace_of_its_attempt() {
    let server = Server::answering("200 OK", "", r#"{"result": null}"#).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = Trace::new(parent, Some("vendor=1")).unwrap();
    let url = format!("http://{}/run", server.host());
    for target in [&url, "reports"] {
        let mut call = call(Duration::from_secs(30));
        call.context = TaskContext::detached(call.task.id.clone()).in_trace(trace.clone());
        attempt_of(call, target, &server, OPEN).await.unwrap();
    }
    for (head, body) in server.seen() {
        let request: Value = serde_json::from_str(&body).unwrap();
        let expected = json!({"traceparent": parent, "tracestate": "vendor=1"});
        assert_eq!(request["trace"], expected);
        let headers = [
            format!("traceparent: {parent}"),
            "tracestate: vendor=1".to_owned(),
        ];
        let is_posted = head.starts_with("post /run");
        let has = headers.map(|header| head.contains(&format!("{header}\r\n")));
        assert_eq!(has, [is_posted, is_posted], "{head}");
    }
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_function_is_invoked_once_with_the_task() {
    let server = Server::answering("200 OK", "", r#"{"result": null}"#).await;
    assert_eq!(invoked(&server).await.unwrap().json, "null");
    let (head, body) = server.seen().remove(0);
    assert_eq!(server.seen().len(), 1);
    let path = "post /2015-03-31/functions/reports%3alive/invocations";
    assert!(head.starts_with(path), "{head}");
    let request: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(request["task"]["job"], "remote.job");
}

/// The type of the error, and whether and when another attempt follows.
fn outcome(answered: Result<Output, JobError>) -> (String, Retry) {
    let error = answered.unwrap_err();
    (error.kind().to_owned(), error.retry())
}

fn expected(kind: &str, retry: Retry) -> (String, Retry) {
    (kind.to_owned(), retry)
}

#[tokio::test]
async fn every_status_has_an_outcome() {
    let second = Duration::from_secs(1);
    let long = Duration::from_secs(77);
    for (status, headers, kind, retry) in [
        ("201 Created", "", "InvalidAnswer", Retry::No),
        ("204 No Content", "", "InvalidAnswer", Retry::No),
        (
            "302 Found",
            "location: http://127.0.0.1/\r\n",
            "HttpError",
            Retry::No,
        ),
        ("304 Not Modified", "", "HttpError", Retry::No),
        ("400 Bad Request", "", "HttpError", Retry::No),
        (
            "404 Not Found",
            "retry-after: 77\r\n",
            "HttpError",
            Retry::No,
        ),
        ("408 Request Timeout", "", "HttpError", Retry::Backoff),
        (
            "429 Too Many Requests",
            "",
            "HttpError",
            Retry::Wait(second),
        ),
        (
            "429 Too Many Requests",
            "retry-after: 77\r\n",
            "HttpError",
            Retry::Wait(long),
        ),
        ("500 Oops", "", "HttpError", Retry::Backoff),
        (
            "503 Busy",
            "retry-after: 77\r\n",
            "HttpError",
            Retry::After(long),
        ),
    ] {
        let server = Server::answering(status, headers, "").await;
        assert_eq!(
            outcome(posted(&server).await),
            expected(kind, retry),
            "{status}"
        );
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_url_that_is_not_reached_is_tried_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let lambda = Server::start(Reply::Nothing).await;
    let refused = attempt(&format!("http://127.0.0.1:{port}/"), &lambda, OPEN).await;
    let unreachable = expected("UrlUnreachable", Retry::Backoff);
    assert_eq!(outcome(refused), unreachable);
    let ended = Server::start(Reply::Nothing).await;
    assert_eq!(outcome(posted(&ended).await), unreachable);
    let private = attempt(&format!("http://127.0.0.1:{port}/"), &lambda, !OPEN).await;
    assert_eq!(outcome(private), expected("UrlRefused", Retry::No));
}

#[tokio::test]
async fn a_slow_or_large_answer_ends() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let slow = Server::start(Reply::Drip(head.to_vec())).await;
    let url = format!("http://{}/", slow.host());
    let started = Instant::now();
    let time = Duration::from_millis(300);
    let dripped = attempt_of(call(time), &url, &slow, OPEN).await;
    assert_eq!(outcome(dripped), expected("UrlUnreachable", Retry::Backoff));
    assert!(started.elapsed() < Duration::from_secs(20));
    let large = format!(r#"{{"result": "{}"}}"#, "x".repeat(super::MAX_PAYLOAD));
    let large = Server::answering("200 OK", "", &large).await;
    assert_eq!(
        outcome(posted(&large).await),
        expected("AnswerTooLarge", Retry::No)
    );
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused_with_the_sizes() {
    let server = Server::answering("200 OK", "", r#"{"result": 1}"#).await;
    let mut call = call(Duration::from_secs(30));
    let input = format!("\"{}\"", "x".repeat(super::MAX_PAYLOAD));
    call.input = RawValue::from_string(input).unwrap();
    let error = attempt_of(call, "reports", &server, OPEN)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        ("RequestTooLarge", Retry::No)
    );
    assert!(error.message().contains("6291456"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn every_refusal_of_lambda_has_an_outcome() {
    let minute = Retry::After(Duration::from_secs(60));
    for (status, kind, message, retry) in [
        (
            "429 Too Many",
            "TooManyRequestsException",
            "FunctionThrottled",
            Retry::Wait(Duration::from_secs(1)),
        ),
        (
            "409 Conflict",
            "ResourceConflictException",
            "FunctionThrottled",
            Retry::Wait(Duration::from_secs(1)),
        ),
        (
            "404 Not Found",
            "ResourceNotFoundException",
            "FunctionNotFound",
            minute,
        ),
        (
            "403 Forbidden",
            "AccessDeniedException",
            "FunctionAccessDenied",
            minute,
        ),
        (
            "413 Too Large",
            "RequestTooLargeException",
            "RequestTooLarge",
            Retry::No,
        ),
        (
            "500 Oops",
            "ServiceException",
            "InvocationFailed",
            Retry::Backoff,
        ),
    ] {
        let headers = format!("x-amzn-errortype: {kind}\r\ncontent-type: application/json\r\n");
        let server = Server::answering(status, &headers, r#"{"Message": "no"}"#).await;
        assert_eq!(
            outcome(invoked(&server).await),
            expected(message, retry),
            "{kind}"
        );
        assert_eq!(server.seen().len(), 1, "{kind}: the SDK repeats nothing");
    }
}

#[tokio::test]
async fn a_function_that_fails_is_told_apart_by_the_header() {
    let headers = "x-amz-function-error: Unhandled\r\n";
    let body = r#"{"errorType": "KeyError", "errorMessage": "'a'", "stackTrace": ["x"]}"#;
    let server = Server::answering("200 OK", headers, body).await;
    let error = invoked(&server).await.unwrap_err();
    assert_eq!((error.kind(), error.traceback()), ("KeyError", Some("x")));
    assert_eq!(error.retry(), Retry::Backoff);
}

#[tokio::test]
async fn a_connection_that_ends_is_tried_once_more_and_then_again_later() {
    let server = Server::start(Reply::Nothing).await;
    let answered = outcome(invoked(&server).await);
    assert_eq!(answered, expected("InvocationFailed", Retry::Backoff));
    assert_eq!(server.seen().len(), 2);
}
