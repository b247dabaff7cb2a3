//! The task message, and how it is sent, kept invisible, and put aside.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as VisibilityEntry, MessageAttributeValue,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::store::Submitted;

/// SQS' largest message in bytes, attributes included.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// SQS' most entries of one batch call.
const BATCH: usize = 10;
/// SQS' longest visibility timeout, in seconds.
const MAX_VISIBILITY: u64 = 43_200;
/// The version of [`TaskMessage`]'s form.
const VERSION: u8 = 1;

/// What the queue did not do.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The message is larger than SQS takes.
    #[error("the message has {size} bytes and SQS takes {limit}")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The most bytes.
        limit: usize,
    },
    /// SQS refused or did not answer, after the SDK's own retries.
    #[error("SQS failed")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The whole of a task, as the queue carries it.
#[derive(Debug, Serialize, Deserialize)]
pub struct TaskMessage {
    /// The version of this form.
    v: u8,
    /// The task.
    pub id: Uuid,
    /// The name of its job.
    pub job: String,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub submitted_at: u64,
    /// The job's input, as JSON text.
    pub input: Box<RawValue>,
}

/// Why a message is not a task.
#[derive(Debug, thiserror::Error)]
pub enum NotATask {
    /// It is not JSON of the right form.
    #[error("the message is not a task: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It comes from another version of this program.
    #[error("the message has version {0}, which this worker does not know")]
    Version(u8),
}

impl TaskMessage {
    /// A message of the present version.
    pub fn new(id: Uuid, job: &str, input: Box<RawValue>, submitted_at: u64) -> TaskMessage {
        TaskMessage {
            v: VERSION,
            id,
            job: job.to_owned(),
            submitted_at,
            input,
        }
    }

    /// Reads a message's body.
    pub fn decode(body: &str) -> Result<TaskMessage, NotATask> {
        let message: TaskMessage = serde_json::from_str(body)?;
        if message.v == VERSION {
            Ok(message)
        } else {
            Err(NotATask::Version(message.v))
        }
    }

    /// The id in a body that is not a task of this version, if it has one.
    pub fn find_id(body: &str) -> Option<Uuid> {
        #[derive(Deserialize)]
        struct HasId {
            id: Uuid,
        }
        serde_json::from_str::<HasId>(body)
            .ok()
            .map(|found| found.id)
    }

    /// What the record needs to know of it.
    pub fn submitted(&self) -> Submitted<'_> {
        Submitted {
            id: self.id,
            job: &self.job,
            created_at: self.submitted_at,
        }
    }

    /// The body to send.
    fn encode(&self) -> Result<String, QueueError> {
        let body = serde_json::to_string(self).map_err(|error| QueueError::Call(error.into()))?;
        // SQS takes the characters that XML 1.0 takes. JSON escapes all others but these two,
        // and they can stand only inside of strings, where an escape means the same.
        let body = match body.contains(['\u{fffe}', '\u{ffff}']) {
            true => body
                .replace('\u{fffe}', "\\ufffe")
                .replace('\u{ffff}', "\\uffff"),
            false => body,
        };
        match body.len() {
            size if size > MAX_MESSAGE => Err(QueueError::TooLarge {
                size,
                limit: MAX_MESSAGE,
            }),
            _ => Ok(body),
        }
    }
}

/// The queue that carries tasks to the worker.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    client: Client,
    url: String,
}

impl TaskQueue {
    /// The queue at `url`.
    pub fn new(client: Client, url: String) -> TaskQueue {
        TaskQueue { client, url }
    }

    /// Sends a task. Sending it twice is harmless: the worker runs a task once.
    pub async fn send(&self, message: &TaskMessage) -> Result<(), QueueError> {
        let send = self.client.send_message().queue_url(&self.url);
        let sent = send.message_body(message.encode()?).send().await;
        sent.map(drop)
            .map_err(|error| QueueError::Call(Box::new(error)))
    }

    /// Keeps messages invisible for this long from now, each named by its receipt handle. A
    /// message that is gone or whose receipt is outdated is passed over: somebody else has it.
    pub async fn hide(&self, messages: &[(&str, Duration)]) -> Result<(), QueueError> {
        for batch in messages.chunks(BATCH) {
            let entries: Result<Vec<_>, _> = batch
                .iter()
                .enumerate()
                .map(|(at, (receipt, time))| entry(at, receipt, *time))
                .collect();
            let entries = entries.map_err(|error| QueueError::Call(error.into()))?;
            let change = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url);
            let changed = change.set_entries(Some(entries)).send().await;
            let changed = changed.map_err(|error| QueueError::Call(Box::new(error)))?;
            for failed in changed.failed() {
                tracing::debug!(code = failed.code(), "a message's visibility stays");
            }
        }
        Ok(())
    }
}

fn entry(
    at: usize,
    receipt: &str,
    time: Duration,
) -> Result<VisibilityEntry, aws_sdk_sqs::error::BuildError> {
    // Rounded up, so that a message is not seen before its time.
    let seconds = time
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(MAX_VISIBILITY);
    let seconds = i32::try_from(seconds.min(MAX_VISIBILITY)).unwrap_or(i32::MAX);
    VisibilityEntry::builder()
        .id(at.to_string())
        .receipt_handle(receipt)
        .visibility_timeout(seconds)
        .build()
}

/// The queue that keeps what nobody can work on.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    client: Client,
    url: String,
}

impl DeadLetters {
    /// The queue at `url`.
    pub fn new(client: Client, url: String) -> DeadLetters {
        DeadLetters { client, url }
    }

    /// Puts a message's body aside, with the reason as its attribute `reason`.
    pub async fn put(&self, body: &str, reason: &str) -> Result<(), QueueError> {
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason);
        let reason = reason
            .build()
            .map_err(|error| QueueError::Call(error.into()))?;
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        let sent = send.message_attributes("reason", reason).send().await;
        sent.map(drop)
            .map_err(|error| QueueError::Call(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(input: &str) -> TaskMessage {
        let input = RawValue::from_string(input.to_owned()).unwrap();
        TaskMessage::new(Uuid::nil(), "process_data", input, 5)
    }

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        let sent = message(r#"{"b":1.0,"a":123456789012345678901234567890}"#);
        let received = TaskMessage::decode(&sent.encode().unwrap()).unwrap();
        assert_eq!(received.input.get(), sent.input.get());
        assert_eq!(
            (received.id, received.job.as_str()),
            (Uuid::nil(), "process_data")
        );
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let body = message("\"a\u{ffff}\u{fffe}\"").encode().unwrap();
        assert!(body.contains(r"a\uffff\ufffe"), "{body}");
        let input = TaskMessage::decode(&body).unwrap().input;
        assert_eq!(
            serde_json::from_str::<String>(input.get()).unwrap(),
            "a\u{ffff}\u{fffe}"
        );
    }

    #[test]
    fn a_message_over_the_limit_is_refused() {
        let large = format!("\"{}\"", "x".repeat(MAX_MESSAGE));
        assert!(matches!(
            message(&large).encode(),
            Err(QueueError::TooLarge { .. })
        ));
    }

    #[test]
    fn what_is_not_a_task_is_told_apart() {
        for body in ["", "{}", "[]", r#"{"v":1,"id":"x"}"#] {
            assert!(
                matches!(TaskMessage::decode(body), Err(NotATask::Malformed(_))),
                "{body}"
            );
        }
        let newer = message("1").encode().unwrap().replace("\"v\":1", "\"v\":9");
        assert!(matches!(
            TaskMessage::decode(&newer),
            Err(NotATask::Version(9))
        ));
        assert_eq!(TaskMessage::find_id(&newer), Some(Uuid::nil()));
        assert_eq!(TaskMessage::find_id("{}"), None);
    }

    #[test]
    fn visibility_is_whole_seconds_within_the_limit() {
        let seconds = |ms| {
            entry(0, "r", Duration::from_millis(ms))
                .unwrap()
                .visibility_timeout()
        };
        assert_eq!([0, 1, 1000, 1001].map(seconds), [0, 1, 1, 2].map(Some));
        assert_eq!(seconds(u64::MAX), Some(43_200));
    }
}
