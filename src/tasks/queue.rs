//! The queues that carry tasks, and the dead-letter queue.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as VisibilityEntry, MessageAttributeValue,
    MessageSystemAttributeNameForSends as SystemAttribute, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry as SendEntry,
};
use futures_util::StreamExt;
use futures_util::stream;
use uuid::Uuid;

use super::task::{Priority, Task};
use super::wire;
use crate::aws::Lazy;
use crate::error::Chain;

/// SQS' largest message in bytes, attributes included.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// The most bytes of a dead letter's reason, and the bytes that every reason must have available.
const MAX_REASON: usize = 1024;
const LEAST_REASON: usize = 256;
/// The bytes of the attribute's name and data type, `reason` and `String`. SQS adds them to the
/// message's size.
const REASON_NAMES: usize = 12;
/// The most bytes of the bodies of one batch: SQS' limit, less the room for the attributes.
const MAX_BATCH: usize = MAX_MESSAGE - 16 * 1024;
/// The most calls to SQS at a time, of those that send many messages.
const CALLS_AT_ONCE: usize = 16;
/// SQS' most entries of one batch call.
pub const BATCH: usize = 10;
/// The longest visibility timeout that a message is given. SQS takes 12 hours and counts them from the
/// message's receipt: it refuses what would exceed them, and the message then comes again with the
/// queue's own timeout. An hour remains for the time since the receipt, which is the queue's own timeout
/// at most before the invocation (`VisibilityTimeout` in `template.yaml`), and then the invocation.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(11 * 3600);
/// SQS' longest delay of a message's first delivery.
pub const MAX_SQS_DELAY: Duration = Duration::from_secs(900);

/// Where the Lambda runtime keeps the X-Ray trace of the present invocation.
const TRACE_VARIABLE: &str = "_X_AMZN_TRACE_ID";

/// Why a message was not sent, or its visibility timeout not changed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The message exceeds SQS' limit.
    #[error("the message has {size} bytes and SQS takes {limit}")]
    TooLarge {
        /// The message's bytes.
        size: usize,
        /// The most bytes of a message.
        limit: usize,
    },
    /// SQS or the scheduler refused the call or did not answer, after the SDK's own retries.
    #[error("the message was not taken")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The queues that carry tasks to the worker.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    client: Lazy<Client>,
    normal: String,
    high: String,
    /// The queues of other wire formats, whose messages this worker receives.
    others: Vec<String>,
}

impl TaskQueue {
    /// The queues at these URLs, one for each priority.
    pub fn new(client: impl Into<Lazy<Client>>, normal: String, high: String) -> TaskQueue {
        TaskQueue {
            client: client.into(),
            normal,
            high,
            others: Vec::new(),
        }
    }

    /// Also receives from the queues of other wire formats at these URLs.
    pub fn receiving_from(mut self, urls: impl Iterator<Item = String>) -> TaskQueue {
        self.others.extend(urls);
        self
    }

    /// Sends a task's message, with a delay of at most [`MAX_SQS_DELAY`]. A repeated call is harmless:
    /// the worker runs a task once.
    pub async fn send(&self, task: &Task, delay: Duration) -> Result<(), QueueError> {
        let body = encode(task)?;
        let url = match task.options.priority {
            Priority::Normal => &self.normal,
            Priority::High => &self.high,
        };
        let seconds = whole_seconds(delay, MAX_SQS_DELAY.as_secs());
        let send = self.client.send_message().queue_url(url);
        // SQS delivers fairly between message groups, so one caller's backlog does not delay other
        // callers' tasks.
        let send = send.set_message_group_id(task.caller.as_deref().map(group));
        let send = send.set_delay_seconds((seconds > 0).then_some(seconds));
        let send = match trace(std::env::var(TRACE_VARIABLE).ok()) {
            Some(trace) => send.message_system_attributes(SystemAttribute::AwsTraceHeader, trace),
            None => send,
        };
        let sent = send.message_body(body).send().await;
        sent.map(drop)
            .map_err(|error| QueueError::Call(Box::new(error)))
    }

    /// Sends the body of a message that is no task of this version to the queue of normal priority, as it is.
    pub async fn send_body(&self, body: &str) -> Result<(), QueueError> {
        let send = self.client.send_message().queue_url(&self.normal);
        let sent = send.message_body(body).send().await;
        sent.map(drop)
            .map_err(|error| QueueError::Call(Box::new(error)))
    }

    /// Sends the messages of tasks, each with a delay of at most [`MAX_SQS_DELAY`], by few calls. Returns the
    /// outcome of each message, in order. As with [`TaskQueue::send`], a repeated call is harmless.
    pub async fn send_all(&self, tasks: &[(&Task, Duration)]) -> Vec<Result<(), QueueError>> {
        let mut outcomes: Vec<Option<QueueError>> = tasks.iter().map(|_| None).collect();
        let mut batches: Vec<Batch<'_>> = Vec::new();
        for (at, (task, delay)) in tasks.iter().enumerate() {
            match self.message(at, task, *delay) {
                Ok(message) => add_to(&mut batches, message),
                Err(error) => outcomes[at] = Some(error),
            }
        }
        let sends = batches.into_iter().map(|batch| self.send_batch(batch));
        let mut sending = stream::iter(sends).buffer_unordered(CALLS_AT_ONCE);
        while let Some(failed) = sending.next().await {
            for (at, error) in failed {
                outcomes[at] = Some(error);
            }
        }
        let outcomes = outcomes.into_iter();
        outcomes.map(|error| error.map_or(Ok(()), Err)).collect()
    }

    /// The message of a task in a batch, under the task's place.
    fn message(
        &self,
        at: usize,
        task: &Task,
        delay: Duration,
    ) -> Result<BatchMessage<'_>, QueueError> {
        let body = encode(task)?;
        let seconds = whole_seconds(delay, MAX_SQS_DELAY.as_secs());
        let size = body.len();
        let entry = SendEntry::builder()
            .id(at.to_string())
            .message_body(body)
            .set_message_group_id(task.caller.as_deref().map(group))
            .set_delay_seconds((seconds > 0).then_some(seconds));
        let entry = match trace(std::env::var(TRACE_VARIABLE).ok()) {
            Some(trace) => entry.message_system_attributes(SystemAttribute::AwsTraceHeader, trace),
            None => entry,
        };
        Ok(BatchMessage {
            url: match task.options.priority {
                Priority::Normal => &self.normal,
                Priority::High => &self.high,
            },
            size,
            entry: entry
                .build()
                .map_err(|error| QueueError::Call(error.into()))?,
        })
    }

    /// Sends a batch. Returns the places of the messages that were not taken, each with the error.
    async fn send_batch(&self, batch: Batch<'_>) -> Vec<(usize, QueueError)> {
        let place = |entry: &str| entry.parse().unwrap_or(usize::MAX);
        let all: Vec<usize> = batch.entries.iter().map(|one| place(one.id())).collect();
        let send = self.client.send_message_batch().queue_url(batch.url);
        match send.set_entries(Some(batch.entries)).send().await {
            Ok(sent) => {
                let failed = sent.failed().iter();
                let failed = failed.filter(|one| all.contains(&place(one.id())));
                failed
                    .map(|one| (place(one.id()), QueueError::Call(one.code().into())))
                    .collect()
            }
            Err(error) => {
                let reason = Chain(&error).to_string();
                let failed = all.into_iter();
                failed
                    .map(|at| (at, QueueError::Call(reason.as_str().into())))
                    .collect()
            }
        }
    }

    /// Sets the visibility timeouts of messages: the ARN of the queue, the receipt handle and the new
    /// timeout of each. A message is skipped if it is deleted, or if its receipt handle is outdated
    /// because another worker has received the message.
    pub async fn change_visibility(
        &self,
        messages: Vec<(&str, &str, Duration)>,
    ) -> Result<(), QueueError> {
        let mut rest = messages;
        let queues = [&self.high].into_iter().chain(&self.others);
        for url in queues {
            let (of_queue, others): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|(source, ..)| is_arn_of(source, url));
            self.change_all(url, &of_queue).await?;
            rest = others;
        }
        self.change_all(&self.normal, &rest).await
    }

    async fn change_all(
        &self,
        url: &str,
        messages: &[(&str, &str, Duration)],
    ) -> Result<(), QueueError> {
        for batch in messages.chunks(BATCH) {
            self.change_batch(url, batch).await?;
        }
        Ok(())
    }

    async fn change_batch(
        &self,
        url: &str,
        batch: &[(&str, &str, Duration)],
    ) -> Result<(), QueueError> {
        let entries: Result<Vec<_>, _> = batch
            .iter()
            .enumerate()
            .map(|(at, (_, receipt, time))| entry(at, receipt, *time))
            .collect();
        let entries = entries.map_err(|error| QueueError::Call(error.into()))?;
        let change = self
            .client
            .change_message_visibility_batch()
            .queue_url(url)
            .set_entries(Some(entries));
        let changed = change.send().await;
        let changed = changed.map_err(|error| QueueError::Call(Box::new(error)))?;
        for failed in changed.failed() {
            tracing::debug!(code = failed.code(), "a visibility timeout is unchanged");
        }
        Ok(())
    }
}

/// A message of a batch.
struct BatchMessage<'q> {
    url: &'q str,
    /// The bytes of the body.
    size: usize,
    entry: SendEntry,
}

/// Messages that one call sends to one queue.
struct Batch<'q> {
    url: &'q str,
    /// The bytes of all bodies; SQS bounds them as it bounds the body of one message.
    size: usize,
    entries: Vec<SendEntry>,
}

/// Adds a message to the last batch of its queue, or to another batch if that batch is full.
fn add_to<'q>(batches: &mut Vec<Batch<'q>>, message: BatchMessage<'q>) {
    let mut last = batches.iter_mut().rev();
    let last = last.find(|batch| batch.url == message.url);
    let has_room = |batch: &&mut Batch<'q>| {
        batch.entries.len() < BATCH && batch.size + message.size <= MAX_BATCH
    };
    match last.filter(has_room) {
        Some(batch) => {
            batch.size += message.size;
            batch.entries.push(message.entry);
        }
        None => batches.push(Batch {
            url: message.url,
            size: message.size,
            entries: vec![message.entry],
        }),
    }
}

/// The message group of a caller: a UUID derived from the name. SQS accepts at most 128 letters, digits
/// and punctuation marks as a group, but a caller's name may be any text.
fn group(caller: &str) -> String {
    const CALLERS: Uuid = Uuid::from_u128(0x3f6c_1b52_7c0e_4c55_b6a1_6f0d_95e2_4b17);
    Uuid::new_v5(&CALLERS, caller.as_bytes()).to_string()
}

/// The attribute with the X-Ray trace of the sending invocation: Lambda links the trace of the receiving
/// invocation to this trace. A header of another format is left out, because SQS would refuse the
/// message.
fn trace(header: Option<String>) -> Option<MessageSystemAttributeValue> {
    let is_trace =
        |header: &String| header.starts_with("Root=1-") && header.len() <= 256 && header.is_ascii();
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header.filter(is_trace)?);
    value.build().ok()
}

/// Whether an ARN and a URL name the same queue: both end with the queue's name.
fn is_arn_of(arn: &str, url: &str) -> bool {
    let (name, end) = (arn.rsplit(':').next(), url.rsplit('/').next());
    name == end
}

/// The body of a task's message.
///
/// # Errors
/// When SQS would refuse the message for its size.
pub(super) fn encode(task: &Task) -> Result<String, QueueError> {
    let body = wire::encode(task).map_err(|error| QueueError::Call(error.into()))?;
    match body.len() {
        size if size > MAX_MESSAGE => Err(QueueError::TooLarge {
            size,
            limit: MAX_MESSAGE,
        }),
        _ => Ok(body),
    }
}

/// A time in whole seconds, rounded up so that a message is not delivered before the end of a lease, and at most
/// `most`. The delay until an eta has whole seconds, see [`Options::delay`](super::task::Options::delay).
fn whole_seconds(time: Duration, most: u64) -> i32 {
    let seconds = time.as_millis().div_ceil(1000).try_into().unwrap_or(most);
    i32::try_from(seconds.min(most)).unwrap_or(i32::MAX)
}

fn entry(
    at: usize,
    receipt: &str,
    time: Duration,
) -> Result<VisibilityEntry, aws_sdk_sqs::error::BuildError> {
    VisibilityEntry::builder()
        .id(at.to_string())
        .receipt_handle(receipt)
        .visibility_timeout(whole_seconds(time, MAX_VISIBILITY.as_secs()))
        .build()
}

/// The bytes that are available for a reason beside a dead letter's body; `None` if they are fewer than
/// [`LEAST_REASON`].
pub(super) fn room_for_reason(body: &str) -> Option<usize> {
    let room = MAX_MESSAGE.checked_sub(body.len() + REASON_NAMES)?;
    (room >= LEAST_REASON).then_some(room)
}

/// A text as the value of an attribute, cut to `most` bytes: SQS accepts the characters of XML 1.0, and
/// no empty value.
fn as_attribute(text: &str, most: usize) -> String {
    let is_taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let mut taken = String::new();
    for c in text.chars() {
        let c = if is_taken(c) {
            c
        } else {
            char::REPLACEMENT_CHARACTER
        };
        if taken.len() + c.len_utf8() > most {
            break;
        }
        taken.push(c);
    }
    match taken.is_empty() {
        true => "unknown".to_owned(),
        false => taken,
    }
}

/// The dead-letter queue: messages that cannot be processed.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    pub(super) client: Lazy<Client>,
    pub(super) url: String,
}

impl DeadLetters {
    /// The queue at `url`.
    pub fn new(client: impl Into<Lazy<Client>>, url: String) -> DeadLetters {
        let client = client.into();
        DeadLetters { client, url }
    }

    /// Stores the body of a message, with the reason as the attribute `reason`. The reason is cut to
    /// the room that SQS has beside the body.
    pub async fn put(&self, body: &str, reason: &str) -> Result<(), QueueError> {
        let room = room_for_reason(body).unwrap_or(LEAST_REASON);
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(as_attribute(reason, room.min(MAX_REASON)));
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
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_message_over_the_limit_is_refused() {
        let large = format!("\"{}\"", "x".repeat(MAX_MESSAGE));
        let input = RawValue::from_string(large).unwrap();
        let task = Task::new(Uuid::nil(), "process_data", input, 5);
        assert!(matches!(encode(&task), Err(QueueError::TooLarge { .. })));
    }

    #[test]
    fn a_reason_fits_an_attribute_of_sqs() {
        assert_eq!(
            as_attribute("a\u{0}b\u{1b}\n\u{fffe}ä", 100),
            "a\u{fffd}b\u{fffd}\n\u{fffd}ä"
        );
        assert_eq!(as_attribute("ää", 3), "ä");
        assert_eq!(as_attribute("", 100), "unknown");
        assert_eq!(room_for_reason(&"x".repeat(MAX_MESSAGE)), None);
        assert_eq!(room_for_reason(&"x".repeat(MAX_MESSAGE - 267)), None);
        assert_eq!(room_for_reason(&"x".repeat(MAX_MESSAGE - 268)), Some(256));
    }

    #[test]
    fn callers_have_groups_of_their_own() {
        assert_eq!(group("ada"), group("ada"));
        assert_ne!(group("ada"), group("grace"));
        let odd = group(&"ä b\n".repeat(100));
        assert!(odd.len() <= 128 && odd.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }

    #[test]
    fn a_message_carries_the_trace_of_its_sender() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let value = trace(Some(header.to_owned())).unwrap();
        assert_eq!(value.string_value(), Some(header));
        for other in [
            "",
            "Root=",
            "Root=1-ä",
            &format!("Root=1-{}", "0".repeat(256)),
        ] {
            assert!(trace(Some(other.to_owned())).is_none(), "{other}");
        }
        assert!(trace(None).is_none());
    }

    #[test]
    fn an_arn_and_a_url_of_one_queue_match() {
        let url = "https://sqs.eu-central-1.amazonaws.com/1/tasks-high";
        assert!(is_arn_of("arn:aws:sqs:eu-central-1:1:tasks-high", url));
        assert!(!is_arn_of("arn:aws:sqs:eu-central-1:1:tasks", url));
        assert!(!is_arn_of("", url));
    }

    #[test]
    fn visibility_is_whole_seconds_within_the_limit() {
        let seconds = |ms| {
            entry(0, "r", Duration::from_millis(ms))
                .unwrap()
                .visibility_timeout()
        };
        assert_eq!([0, 1, 1000, 1001].map(seconds), [0, 1, 1, 2].map(Some));
        assert_eq!(seconds(u64::MAX), Some(39_600));
    }
}
