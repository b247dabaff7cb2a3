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
    /// When it was sent, in milliseconds since the Unix epoch.
    sent_at: Option<u64>,
    /// Whether it is to stay invisible until the batch ends.
    held: AtomicBool,
}

/// How long SQS keeps a message (`MessageRetentionPeriod` in `template.yaml`), however often it is
/// hidden, less a day for what a worker takes with it.
const LIFE: Duration = Duration::from_secs(13 * 24 * 3600);

impl Message {
    /// Whether SQS would drop the message before it could come again after `delay` from `now`.
    pub fn would_be_lost(&self, now: u64, delay: Duration) -> bool {
        let comes = u128::from(now) + delay.as_millis();
        self.sent_at
            .is_some_and(|sent| comes > u128::from(sent) + LIFE.as_millis())
    }

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
        let sent_at = record.attributes.get("SentTimestamp");
        let sent_at = sent_at.and_then(|time| time.parse().ok());
        Message {
            id: record.message_id.unwrap_or_default(),
            source: record.event_source_arn.unwrap_or_default(),
            receipt: record.receipt_handle.unwrap_or_default(),
            body: record.body.unwrap_or_default(),
            sent_at,
            held: true.into(),
        }
    }
}
