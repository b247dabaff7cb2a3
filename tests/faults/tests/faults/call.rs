//! The properties of a call to AWS that the proxy uses.

use local_stack::http::Request;
use serde_json::Value;

/// Final states of a task.
pub const FINAL: [&str; 4] = ["completed", "failed", "cancelled", "expired"];

/// The state of a run whose task goes on in another message, and so in another run.
pub const MOVED: &str = "moved";

/// A call from a function to AWS.
#[derive(Debug)]
pub struct Call {
    /// The operation, such as `UpdateItem`.
    pub operation: String,
    /// The called service.
    pub service: Called,
    /// An id that all tries of the same call share.
    pub invocation: String,
    /// Whether this is the first try of the call.
    pub is_first: bool,
    /// The subject of the call, if the tests examine it.
    pub about: About,
}

/// An AWS service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    DynamoDb,
    Sqs,
    Scheduler,
    Lambda,
}

/// The subject of a call.
#[derive(Debug)]
pub enum About {
    /// A write to a task's record.
    Record {
        /// The task's id.
        id: String,
        /// The kind of the write: the state that it sets, or `heartbeat`.
        what: String,
    },
    /// A write to the numbers of tasks.
    Numbers,
    /// A change of the visibility timeout of the messages with these receipt handles.
    Messages(Vec<String>),
    /// Any other subject.
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
            "TransactWriteItems" => end(&body()),
            "ChangeMessageVisibilityBatch" => visibility(&body()),
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

impl Call {
    /// How a transaction's conflict with this call is reported; `None` for a call that changes no row.
    pub fn conflict(&self) -> Option<Conflict> {
        match self.operation.as_str() {
            "UpdateItem" | "PutItem" | "DeleteItem" => Some(Conflict::OfWrite),
            "TransactWriteItems" => Some(Conflict::OfTransaction),
            _ => None,
        }
    }
}

/// The two forms of a conflict with a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// A single write is refused: `TransactionConflictException`.
    OfWrite,
    /// A transaction is cancelled, with a reason for each of its writes.
    OfTransaction,
}

/// The service and the operation. DynamoDB and SQS name the operation in a header; the operations of others
/// follow from the method and the path.
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
            if request.path.ends_with("/invocations") {
                return (Called::Lambda, "Invoke".to_owned());
            }
            let operation = match (request.method.as_str(), kind) {
                ("POST", "schedules") => "CreateSchedule".to_owned(),
                ("DELETE", "schedules") => "DeleteSchedule".to_owned(),
                (method, kind) => format!("{method} /{kind}"),
            };
            (Called::Scheduler, operation)
        }
    }
}

/// All updates of records are in `src/tasks/store/update.rs`, and the placeholder of an attribute
/// `x` is `:x`.
fn update(body: &Value) -> About {
    if body["Key"]["part"].is_null() {
        // Another table: a chord's counter.
        return About::Other;
    }
    if text(&body["Key"]["id"]["S"]).starts_with("counts#") {
        return About::Numbers;
    }
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

/// A row with another part than 0 is a chunk of an input or a result, or saved progress of a job.
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

/// The end of a task in a transaction; another transaction saves progress, and checks a record.
fn end(body: &Value) -> About {
    let mut writes = body["TransactItems"].as_array().into_iter().flatten();
    let ended = writes.find_map(|write| write.get("Update"));
    ended.map_or(About::Other, update)
}

fn visibility(body: &Value) -> About {
    let entries = body["Entries"].as_array().into_iter().flatten();
    About::Messages(entries.map(|entry| text(&entry["ReceiptHandle"])).collect())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
