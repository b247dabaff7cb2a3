//! A message of a batch, and what becomes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Its work is done: the queue may delete it.
    Done,
    /// It comes again after this time.
    Again(Duration),
    /// It stays as it is, and comes again when its visibility ends: another worker may have it, or
    /// the table did not answer.
    Leave,
}

/// A message of the batch.
pub(super) struct Message {
    pub id: String,
    /// The ARN of the queue it came from.
    pub source: String,
    pub receipt: String,
    pub body: String,
    /// Whether it is to stay invisible until the batch ends.
    held: AtomicBool,
}

impl Message {
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Notes what becomes of the message: one that comes again is hidden for its own time.
    pub fn settle(&self, disposition: Disposition) {
        let held = disposition == Disposition::Done;
        self.held.store(held, Ordering::Relaxed);
    }
}

impl From<SqsMessage> for Message {
    fn from(record: SqsMessage) -> Message {
        Message {
            id: record.message_id.unwrap_or_default(),
            source: record.event_source_arn.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            held: true.into(),
        }
    }
}
