//! The letters in the dead-letter queue, for operators.
//!
//! SQS shows messages only by receiving them: a receive hides them from other receives for a time and counts.
//! So whoever looks at letters hides them as long as the look takes, and releases them afterwards. A receipt
//! handle is good for nothing once another look has received the letter: SQS then confirms a deletion that
//! never happens. So nobody keeps a handle from one look for another.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as VisibilityEntry, Message,
    MessageSystemAttributeName as SystemAttribute,
};
use serde::Deserialize;

use super::id::TaskId;
use super::queue::{BATCH, DeadLetters, QueueError};
use crate::error::Chain;

/// How long a look hides letters, in seconds: longer than a request may take. Letters that are not released
/// come back after this time.
const HIDDEN: i32 = 40;

/// How long a receive waits for a letter, in seconds. A receive that does not wait asks a part of SQS' servers
/// and may miss letters.
const WAIT: i32 = 1;

/// The name of the attribute with the reason.
const REASON: &str = "reason";

/// A letter that a look has received.
#[derive(Debug, Clone)]
pub struct Letter {
    /// What identifies the letter and what releases or deletes it.
    pub held: Held,
    /// The body: of a message that was dead-lettered, or a reference to it.
    pub body: String,
    /// Why the message was dead-lettered; `None` if the message came here without a reason.
    pub reason: Option<String>,
    /// When the letter was sent here, in milliseconds since the Unix epoch.
    pub sent_at: Option<u64>,
    /// How often the letter was received, by this look too.
    pub receives: u32,
}

/// A letter that is hidden.
#[derive(Debug, Clone)]
pub struct Held {
    /// The id of the message.
    pub id: String,
    receipt: String,
}

/// A letter whose body is stored in the table of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reference {
    /// Where the body is stored.
    pub stored_body: StoredBody,
    /// The task of the message.
    pub task_id: Option<TaskId>,
}

/// Where a body is stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredBody {
    /// The id of the partition.
    pub id: TaskId,
    /// The number of its parts.
    pub parts: u32,
}

impl Letter {
    fn of(message: Message) -> Option<Letter> {
        let system = |name| message.attributes.as_ref()?.get(&name);
        let sent_at = system(SystemAttribute::SentTimestamp).and_then(|text| text.parse().ok());
        let receives = system(SystemAttribute::ApproximateReceiveCount);
        let receives = receives.and_then(|text| text.parse().ok()).unwrap_or(1);
        let attributes = message.message_attributes.as_ref();
        let reason = attributes.and_then(|attributes| attributes.get(REASON)?.string_value());
        Some(Letter {
            reason: reason.map(str::to_owned),
            sent_at,
            receives,
            held: Held {
                id: message.message_id?,
                receipt: message.receipt_handle?,
            },
            body: message.body?,
        })
    }
}

impl DeadLetters {
    /// Receives up to `most` letters, at most [`BATCH`], that no other look holds. None means that there is
    /// none: another look may hold some.
    pub async fn receive(&self, most: usize) -> Result<Vec<Letter>, QueueError> {
        let most = i32::try_from(most.clamp(1, BATCH)).unwrap_or(1);
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive
            .max_number_of_messages(most)
            .visibility_timeout(HIDDEN)
            .wait_time_seconds(WAIT)
            .message_attribute_names(REASON)
            .message_system_attribute_names(SystemAttribute::SentTimestamp)
            .message_system_attribute_names(SystemAttribute::ApproximateReceiveCount);
        let received = receive.send().await;
        let received = received.map_err(|error| QueueError::Call(Box::new(error)))?;
        let received = received.messages.unwrap_or_default();
        Ok(received.into_iter().filter_map(Letter::of).collect())
    }

    /// Releases letters. A failure does no harm: the letters come back later.
    pub async fn release(&self, held: &[Held]) {
        for batch in held.chunks(BATCH) {
            if let Err(error) = self.release_batch(batch).await {
                tracing::warn!(error = %Chain(&error), "dead letters stay hidden for some seconds");
            }
        }
    }

    async fn release_batch(&self, batch: &[Held]) -> Result<(), QueueError> {
        let entries = batch.iter().enumerate().map(|(at, held)| {
            VisibilityEntry::builder()
                .id(at.to_string())
                .receipt_handle(&held.receipt)
                .visibility_timeout(0)
                .build()
        });
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|error| QueueError::Call(error.into()))?;
        let change = self.client.change_message_visibility_batch();
        let change = change.queue_url(&self.url).set_entries(Some(entries));
        let changed = change.send().await;
        changed
            .map(drop)
            .map_err(|error| QueueError::Call(Box::new(error)))
    }

    /// Deletes a letter that the present look holds.
    pub async fn delete(&self, held: &Held) -> Result<(), QueueError> {
        let delete = self.client.delete_message().queue_url(&self.url);
        let deleted = delete.receipt_handle(&held.receipt).send().await;
        deleted
            .map(drop)
            .map_err(|error| QueueError::Call(Box::new(error)))
    }
}
