//! A message of a batch, and its disposition.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::tasks::queue::MAX_VISIBILITY;

/// One message as SQS delivers it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The message's id.
    pub id: String,
    /// The ARN of the queue.
    pub source: String,
    /// The receipt handle of this delivery.
    pub receipt: String,
    /// The body.
    pub body: String,
    /// When the message was sent, in milliseconds since the Unix epoch.
    pub sent_at: Option<u64>,
    /// The number of deliveries of the message, this delivery included; 0 if unknown.
    pub deliveries: u32,
}

/// The outcome of a delivery for its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// The message is acknowledged: its work is done.
    Acknowledge,
    /// The message gets this visibility timeout; the queue then delivers it again.
    Redeliver(Duration),
    /// The message keeps its present visibility timeout; the queue then delivers it again. Another
    /// worker may hold the task, or the table did not answer.
    Leave,
}

/// A message of the batch.
pub(super) struct Message {
    pub delivery: Delivery,
    /// Whether heartbeats extend the message's visibility timeout until the batch ends.
    held: AtomicBool,
}

/// How long SQS keeps a message, whatever its visibility timeouts: 14 days
/// (`MessageRetentionPeriod` in `template.yaml`), less a day for the worker's own time.
const RETENTION: Duration = Duration::from_secs(13 * 24 * 3600);

impl Message {
    /// Whether SQS would drop the message before its next delivery, `delay` after `now`. A longer delay than
    /// a visibility timeout can be has deliveries in between.
    pub fn would_be_lost(&self, now: u64, delay: Duration) -> bool {
        let delivered_at = u128::from(now) + delay.min(MAX_VISIBILITY).as_millis();
        self.delivery
            .sent_at
            .is_some_and(|sent| delivered_at > u128::from(sent) + RETENTION.as_millis())
    }

    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Notes the disposition. Heartbeats stop for a message that the queue delivers again: that
    /// message has a visibility timeout of its own.
    pub fn settle(&self, disposition: Disposition) {
        let held = disposition == Disposition::Acknowledge;
        self.held.store(held, Ordering::Relaxed);
    }
}

impl From<Delivery> for Message {
    fn from(delivery: Delivery) -> Message {
        Message {
            delivery,
            held: true.into(),
        }
    }
}
