//! A simulation of SQS: a received message becomes invisible, is delivered again unless it is deleted,
//! and may be delivered twice.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::*;

/// The queue's own visibility timeout, in milliseconds.
const VISIBILITY: u64 = 1_800_000;

/// The messages of all queues. Dead letters have a list of their own.
#[derive(Debug, Clone, Default)]
pub struct Queue(Arc<Mutex<Messages>>);

#[derive(Debug, Default)]
struct Messages {
    sent: Vec<Sent>,
    dead_letters: Vec<String>,
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

    /// Sends a message as a producer of another service does.
    pub fn publish(&self, body: String) {
        let now = now_ms();
        self.0.lock().unwrap().sent.push(Sent {
            body,
            sent_at: now,
            visible_at: now,
            receipt: 0,
            deleted: false,
        });
    }

    fn send(&self, request: &Value) {
        let (now, body) = (now_ms(), request["MessageBody"].as_str().unwrap());
        let mut messages = self.0.lock().unwrap();
        if request["QueueUrl"] == DEAD_LETTERS {
            messages.dead_letters.push(body.to_owned());
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
            Some("ChangeMessageVisibilityBatch") => self.change_visibility(&body),
            other => panic!("an unknown call: {other:?}"),
        }
        json!({"Successful": [], "Failed": [], "MessageId": "m"})
    }
}
