//! A call to AWS, as far as it matters here.

use local_stack::http::Request;
use serde_json::Value;

/// States that a task ends in.
pub const FINAL: [&str; 4] = ["completed", "failed", "cancelled", "expired"];

/// A call that the functions made.
#[derive(Debug)]
pub struct Call {
    /// Such as `UpdateItem`.
    pub operation: String,
    /// What it is to.
    pub service: Called,
    /// What all tries of the same call have in common.
    pub invocation: String,
    /// Whether this is the first of them.
    pub is_first: bool,
    /// What it is about, where that is looked at.
    pub about: About,
}

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    DynamoDb,
    Sqs,
    Scheduler,
}

/// What a call is about.
#[derive(Debug)]
pub enum About {
    /// It writes a task's record.
    Record {
        /// The task.
        id: String,
        /// What it does: the state that it sets, or `heartbeat`.
        what: String,
    },
    /// It hides messages, named by their receipts.
    Messages(Vec<String>),
    /// Anything else.
    Other,
}

impl Call {
    /// Reads a call from its request.
    pub fn read(request: &Request) -> Call {
        let (service, operation) = name(request);
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        let about = match operation.as_str() {
            "UpdateItem" => update(&body()),
            "PutItem" => put(&body()),
            "ChangeMessageVisibilityBatch" => hide(&body()),
            _ => About::Other,
        };
        Call {
            operation,
            service,
            invocation: header("amz-sdk-invocation-id"),
            is_first: header("amz-sdk-request").starts_with("attempt=1"),
            about,
        }
    }
}

/// The service and the operation. Two of the services name the operation in a header; the scheduler's
/// is made of the method and the path.
fn name(request: &Request) -> (Called, String) {
    match request
        .header("x-amz-target")
        .and_then(|target| target.split_once('.'))
    {
        Some((service, operation)) if service.starts_with("DynamoDB") => {
            (Called::DynamoDb, operation.to_owned())
        }
        Some((_, operation)) => (Called::Sqs, operation.to_owned()),
        None => {
            let kind = request.path.split('/').nth(1).unwrap_or_default();
            let operation = match (request.method.as_str(), kind) {
                ("POST", "schedules") => "CreateSchedule".to_owned(),
                ("DELETE", "schedules") => "DeleteSchedule".to_owned(),
                (method, kind) => format!("{method} /{kind}"),
            };
            (Called::Scheduler, operation)
        }
    }
}

/// The table's updates are all made in `src/tasks/store/update.rs`, with a placeholder `:x` for
/// the value that an attribute `x` is set to.
fn update(body: &Value) -> About {
    let values = &body["ExpressionAttributeValues"];
    let what = match values[":state"]["S"].as_str() {
        Some(state) => state,
        None if values[":cancel_requested_at"].is_object() => "request to stop",
        None => "heartbeat",
    };
    About::Record {
        id: text(&body["Key"]["id"]["S"]),
        what: what.to_owned(),
    }
}

/// A row of another part than 0 is a chunk of an input, a result, or what a job saved.
fn put(body: &Value) -> About {
    let row = &body["Item"];
    match row["part"]["N"].as_str() {
        Some("0") => About::Record {
            id: text(&row["id"]["S"]),
            what: format!("put {}", text(&row["state"]["S"])),
        },
        _ => About::Other,
    }
}

fn hide(body: &Value) -> About {
    let entries = body["Entries"].as_array().into_iter().flatten();
    About::Messages(entries.map(|entry| text(&entry["ReceiptHandle"])).collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
