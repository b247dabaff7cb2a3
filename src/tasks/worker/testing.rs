//! For tests: a simulation of SQS. A received message becomes invisible, is delivered again unless it is
//! deleted, and may be delivered twice.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_local};

use super::{Delivery, Worker};
use crate::clock::now_ms;
use crate::dynamodb::testing::Gate;

/// The URL of the dead-letter queue. All other URLs are those of one queue.
pub const DEAD_LETTERS: &str = "http://sqs/dead";

/// The queue's own visibility timeout, in milliseconds.
const VISIBILITY: u64 = 1_800_000;

/// The messages of all queues. Dead letters have a list of their own.
#[derive(Debug, Clone, Default)]
pub struct Queue(Arc<Mutex<Messages>>);

#[derive(Debug, Default)]
struct Messages {
    sent: Vec<Sent>,
    dead_letters: Vec<(String, String)>,
    last_entry: Value,
}

#[derive(Debug)]
struct Sent {
    body: String,
    sent_at: u64,
    visible_at: u64,
    /// The number of deliveries, and the receipt of the last delivery.
    receipt: u32,
    deleted: bool,
}

impl Queue {
    /// A client whose calls go through `gate`.
    pub fn client(&self, gate: &Gate) -> aws_sdk_sqs::Client {
        sqs_client(Endpoint {
            queue: self.clone(),
            gate: gate.clone(),
        })
    }

    /// Delivers up to `count` messages, beginning with message number `from`: only visible messages,
    /// unless the delivery is a duplicate of SQS (`twice`).
    pub fn receive(&self, from: usize, count: usize, twice: bool) -> Vec<Delivery> {
        let now = now_ms();
        let mut messages = self.0.lock().unwrap();
        let all = messages.sent.len().max(1);
        let mut received = Vec::new();
        for at in (0..all).map(|at| (at + from) % all) {
            let Some(message) = messages.sent.get_mut(at) else {
                break;
            };
            if message.deleted || (message.visible_at > now && !twice) {
                continue;
            }
            message.receipt += 1;
            message.visible_at = now + VISIBILITY;
            received.push(message.record(at));
            if received.len() == count {
                break;
            }
        }
        received
    }

    /// Deletes the messages with these ids.
    pub fn delete(&self, ids: impl IntoIterator<Item = String>) {
        let mut messages = self.0.lock().unwrap();
        for id in ids {
            let at: usize = id.parse().unwrap();
            messages.sent[at].deleted = true;
        }
    }

    /// When the next message becomes visible; `None` for an empty queue.
    pub fn next_visible(&self) -> Option<u64> {
        let messages = self.0.lock().unwrap();
        let left = messages.sent.iter().filter(|message| !message.deleted);
        left.map(|message| message.visible_at).min()
    }

    /// The bodies and reasons of the dead letters.
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().dead_letters.clone()
    }

    /// The entry of the message that was sent last in a batch.
    pub fn last_entry(&self) -> Value {
        self.0.lock().unwrap().last_entry.clone()
    }

    /// Adds a message, as a client sends one.
    pub fn put(&self, body: &str) {
        self.send(&json!({ "MessageBody": body }));
    }

    /// Deletes the messages that a worker did not report, as Lambda does.
    pub fn delivered(&self, (ids, again): Batch) {
        let deleted = ids.into_iter().filter(|id| !again.contains(id));
        self.delete(deleted);
    }

    fn send(&self, request: &Value) {
        let (now, body) = (now_ms(), request["MessageBody"].as_str().unwrap());
        let mut messages = self.0.lock().unwrap();
        if request["QueueUrl"] == DEAD_LETTERS {
            let reason = &request["MessageAttributes"]["reason"]["StringValue"];
            let reason = reason.as_str().unwrap_or_default();
            let letter = (body.to_owned(), reason.to_owned());
            messages.dead_letters.push(letter);
            return;
        }
        let delay = request["DelaySeconds"].as_u64().unwrap_or(0);
        messages.sent.push(Sent {
            body: body.to_owned(),
            sent_at: now,
            visible_at: now + delay * 1000,
            receipt: 0,
            deleted: false,
        });
    }

    /// The numbers of a queue's messages.
    fn attributes(&self, request: &Value) -> Value {
        let (now, messages) = (now_ms(), self.0.lock().unwrap());
        if request["QueueUrl"] == DEAD_LETTERS {
            let count = messages.dead_letters.len().to_string();
            return json!({"Attributes": {"ApproximateNumberOfMessages": count}});
        }
        let left = || messages.sent.iter().filter(|message| !message.deleted);
        let count = |wanted: &dyn Fn(&Sent) -> bool| {
            left().filter(|message| wanted(message)).count().to_string()
        };
        json!({"Attributes": {
            "ApproximateNumberOfMessages": count(&|one| one.visible_at <= now),
            "ApproximateNumberOfMessagesNotVisible": count(&|one| one.visible_at > now && one.receipt > 0),
            "ApproximateNumberOfMessagesDelayed": count(&|one| one.visible_at > now && one.receipt == 0),
        }})
    }

    fn change_visibility(&self, request: &Value) {
        let now = now_ms();
        let mut messages = self.0.lock().unwrap();
        for entry in request["Entries"].as_array().unwrap() {
            let (at, receipt) = parse(entry["ReceiptHandle"].as_str().unwrap());
            let seconds = entry["VisibilityTimeout"].as_u64().unwrap();
            let message = &mut messages.sent[at];
            // SQS ignores an outdated receipt.
            if message.receipt == receipt && !message.deleted {
                message.visible_at = now + seconds * 1000;
            }
        }
    }
}

impl Sent {
    fn record(&self, at: usize) -> Delivery {
        Delivery {
            deliveries: self.receipt,
            id: at.to_string(),
            source: String::new(),
            receipt: format!("{at}:{}", self.receipt),
            body: self.body.clone(),
            sent_at: Some(self.sent_at),
        }
    }
}

fn parse(receipt: &str) -> (usize, u32) {
    let (at, count) = receipt.split_once(':').unwrap();
    (at.parse().unwrap(), count.parse().unwrap())
}

#[derive(Debug, Clone)]
struct Endpoint {
    queue: Queue,
    gate: Gate,
}

impl HttpConnector for Endpoint {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let answer = this.gate.call(|| this.queue.answer(&request)).await;
            let status = 200.try_into().unwrap();
            Ok(HttpResponse::new(status, answer.to_string().into()))
        })
    }
}

impl Queue {
    fn answer(&self, request: &HttpRequest) -> Value {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        match target.rsplit('.').next() {
            Some("SendMessage") => self.send(&body),
            Some("SendMessageBatch") => {
                let entries = body["Entries"].as_array().unwrap();
                assert!((1..=10).contains(&entries.len()));
                entries.iter().for_each(|entry| self.send(entry));
                self.0.lock().unwrap().last_entry = entries[entries.len() - 1].clone();
            }
            Some("ChangeMessageVisibilityBatch") => self.change_visibility(&body),
            Some("GetQueueAttributes") => return self.attributes(&body),
            other => panic!("an unknown call: {other:?}"),
        }
        json!({"Successful": [], "Failed": [], "MessageId": "m"})
    }
}

/// The ids of a batch's messages, and of those among them to deliver again.
pub type Batch = (Vec<String>, Vec<String>);

/// Starts a worker on a batch.
pub fn start_batch(worker: Worker, records: Vec<Delivery>) -> JoinHandle<Batch> {
    spawn_local(async move {
        let ids = records.iter().map(|delivery| delivery.id.clone());
        let ids = ids.collect();
        let again = worker.run_batch(records, now_ms() + 300_000).await;
        (ids, again)
    })
}

/// The real SQS client on a replaced HTTP connector.
pub fn sqs_client(endpoint: impl HttpConnector + 'static) -> aws_sdk_sqs::Client {
    let connector = SharedHttpConnector::new(endpoint);
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    aws_sdk_sqs::Client::from_conf(config.build())
}
