//! A queue, as an event source mapping uses it.

use std::time::Duration;

use local_stack::aws::{Aws, expect};
use local_stack::{Context, Result};
use serde_json::{Value, json};

/// The batch size in `template.yaml`.
pub const BATCH: usize = 10;

/// A queue of the stage.
#[derive(Debug, Clone)]
pub struct Queue {
    aws: Aws,
    url: String,
}

impl Queue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(aws: Aws, url: String) -> Queue {
        Queue { aws, url }
    }

    /// The last part of the URL.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn send(&self, body: &str) -> Result<()> {
        let request = json!({"QueueUrl": self.url, "MessageBody": body});
        self.call("SendMessage", &request).map(drop)
    }

    /// Receives up to ten messages, in the form of a Lambda event's records. Waits up to
    /// `patience`, in whole seconds.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn receive(&self, patience: Duration) -> Result<Vec<Value>> {
        let request = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": patience.as_secs(),
            "AttributeNames": ["All"],
        });
        let answer = self.call("ReceiveMessage", &request)?;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        Ok(messages
            .iter()
            .map(|message| record(message, self.name()))
            .collect())
    }

    /// Deletes messages by their receipt handles.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn delete(&self, records: &[Value]) -> Result<()> {
        let entries = records.iter().enumerate();
        let entries = entries.map(
            |(at, record)| json!({"Id": at.to_string(), "ReceiptHandle": record["receiptHandle"]}),
        );
        let entries: Vec<Value> = entries.collect();
        if !entries.is_empty() {
            let request = json!({"QueueUrl": self.url, "Entries": entries});
            self.call("DeleteMessageBatch", &request)?;
        }
        Ok(())
    }

    /// Deletes all messages.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn purge(&self) -> Result<()> {
        let request = json!({"QueueUrl": self.url});
        self.call("PurgeQueue", &request).map(drop)
    }

    fn call(&self, action: &str, request: &Value) -> Result<Value> {
        let text = expect(action, self.aws.sqs(action, request)?)?;
        // The answer of `PurgeQueue` is empty.
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).context(action)
    }
}

/// The event of a batch.
#[must_use]
pub fn event(records: &[Value]) -> String {
    json!({ "Records": records }).to_string()
}

/// Whether a function's answer to a batch reports no failed message.
#[must_use]
pub fn is_done(answer: &[u8]) -> bool {
    let answer: Option<Value> = serde_json::from_slice(answer).ok();
    answer.is_some_and(|answer| match &answer["batchItemFailures"] {
        Value::Array(failures) => failures.is_empty(),
        failures => failures.is_null(),
    })
}

/// A received message as a record of a Lambda event. `queue` is the queue's name.
fn record(message: &Value, queue: &str) -> Value {
    json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        "awsRegion": "us-east-1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_done_without_batch_item_failures() {
        assert!(is_done(br#"{"batchItemFailures":[]}"#) && is_done(b"{}"));
        assert!(!is_done(
            br#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#
        ));
        assert!(!is_done(b"no"));
    }
}
