//! A message of a batch, and what becomes of the message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// The queue may delete the message: its work is done.
    Done,
    /// The queue is to deliver the message again after this time.
    Again(Duration),
    /// The message keeps its visibility timeout, and the queue delivers it again at its end: another
    /// worker may hold the task, or the table did not answer.
    Leave,
}

/// A message of the batch.
pub(super) struct Message {
    pub delivery: Delivery,
    /// Whether the message is to stay invisible until the batch ends.
    held: AtomicBool,
}

/// How long SQS keeps a message (`MessageRetentionPeriod` in `template.yaml`), whatever its
/// visibility timeouts, less a day for the time that a worker spends on the message.
const LIFE: Duration = Duration::from_secs(13 * 24 * 3600);

impl Message {
    /// Whether SQS would drop the message before its next delivery, `delay` after `now`.
    pub fn would_be_lost(&self, now: u64, delay: Duration) -> bool {
        let comes = u128::from(now) + delay.as_millis();
        self.delivery
            .sent_at
            .is_some_and(|sent| comes > u128::from(sent) + LIFE.as_millis())
    }

    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Notes what becomes of the message: a message that is to be delivered again has a visibility
    /// timeout of its own.
    pub fn settle(&self, disposition: Disposition) {
        let held = disposition == Disposition::Done;
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
