//! The queues that a workflow's messages are sent to.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry as Entry;
use futures_util::StreamExt;
use futures_util::stream;
use uuid::Uuid;

use super::canvas::Outgoing;
use crate::tasks::queue::{BATCH, MAX_MESSAGE, QueueError};

/// The most calls to SQS at a time.
const CALLS_AT_ONCE: usize = 16;

/// The namespace of the names of bodies (a random UUID).
const BODIES: Uuid = Uuid::from_u128(0x0c3a_71be_94d2_4f65_8e0b_d1a7_5f29_6c83);

/// The queues by their names in Celery, and the routes of tasks to queues.
#[derive(Debug, Clone)]
pub struct Outbox {
    client: Client,
    queues: Vec<(String, String)>,
    routes: Vec<(String, String)>,
}

/// Why messages are not sent.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A queue is not configured.
    #[error("the queue {0:?} is not configured")]
    UnknownQueue(String),
    /// SQS never takes a message.
    #[error("SQS refused a message: {0}")]
    Refused(String),
    /// SQS did not take a message.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Outbox {
    /// An outbox for `queues`, as `name=URL`, and `routes`, as `task=queue`. Entries are separated by
    /// commas. The first queue is the default. `*` in a task's name stands for any text.
    ///
    /// # Errors
    /// For an entry without `=`, and without any queue.
    pub fn new(client: Client, queues: &str, routes: &str) -> Result<Outbox, String> {
        let (queues, routes) = (pairs(queues)?, pairs(routes)?);
        let is_known = |name: &String| queues.iter().any(|(queue, _)| queue == name);
        if let Some((_, unknown)) = routes.iter().find(|(_, queue)| !is_known(queue)) {
            return Err(format!("a route leads to the unknown queue {unknown:?}"));
        }
        match queues.is_empty() {
            true => Err("there is no queue".to_owned()),
            false => Ok(Outbox {
                client,
                queues,
                routes,
            }),
        }
    }

    /// The name of the default queue.
    pub fn default_queue(&self) -> &str {
        self.queues.first().map_or("celery", |(name, _)| name)
    }

    /// The URLs of the queues.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|(_, url)| url.as_str())
    }

    /// The URL of a message's queue: the queue of the message itself, else of the task's route, else the
    /// default queue.
    ///
    /// # Errors
    /// When the queue is not configured.
    pub fn url(&self, message: &Outgoing) -> Result<&str, OutboxError> {
        let route = || {
            let mut routes = self.routes.iter();
            let found = routes.find(|(pattern, _)| matches(pattern, &message.task));
            found.map(|(_, queue)| queue.as_str())
        };
        let name = message.queue.as_deref().or_else(route);
        let name = name.unwrap_or(self.default_queue());
        let mut queues = self.queues.iter();
        let found = queues.find(|(queue, _)| queue == name);
        let unknown = || OutboxError::UnknownQueue(name.to_owned());
        found.map(|(_, url)| url.as_str()).ok_or_else(unknown)
    }

    /// Checks that the queues of messages are configured.
    ///
    /// # Errors
    /// As [`Outbox::url`].
    pub fn check(&self, messages: &[Outgoing]) -> Result<(), OutboxError> {
        let mut messages = messages.iter();
        messages.try_for_each(|message| self.url(message).map(drop))
    }

    /// Sends messages in order. After a failure some may have been sent.
    ///
    /// # Errors
    /// When a queue is not configured, or SQS does not take a message.
    pub async fn send(&self, messages: &[Outgoing]) -> Result<(), OutboxError> {
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let url = self.url(first)?;
            let (batch, later) = rest.split_at(self.fitting(url, rest));
            self.send_batch(url, batch).await?;
            rest = later;
        }
        Ok(())
    }

    /// Sends messages at once and in any order. Returns the outcome of each message; the messages of one call
    /// to SQS share their outcome.
    pub async fn send_all(&self, messages: &[Outgoing]) -> Vec<Result<(), Arc<OutboxError>>> {
        let mut batches = Vec::new();
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let url = self.url(first);
            let count = url.as_ref().map_or(1, |url| self.fitting(url, rest));
            let (batch, later) = rest.split_at(count);
            batches.push((url, batch));
            rest = later;
        }
        let sends = batches.into_iter().map(|(url, batch)| async move {
            let sent = match url {
                Ok(url) => self.send_batch(url, batch).await,
                Err(unknown) => Err(unknown),
            };
            vec![sent.map_err(Arc::new); batch.len()]
        });
        let sent: Vec<_> = stream::iter(sends).buffered(CALLS_AT_ONCE).collect().await;
        sent.into_iter().flatten().collect()
    }

    /// The number of messages at the front that one call can send to the queue at `url`. A message over the
    /// limit is sent alone, for SQS to refuse.
    fn fitting(&self, url: &str, messages: &[Outgoing]) -> usize {
        let mut room = MAX_MESSAGE;
        let fits = messages.iter().take(BATCH).take_while(|message| {
            let is_same_queue = self.url(message).is_ok_and(|other| other == url);
            let left = room.checked_sub(message.body.len());
            room = left.unwrap_or(0);
            is_same_queue && left.is_some()
        });
        fits.count().max(1)
    }

    async fn send_batch(&self, url: &str, batch: &[Outgoing]) -> Result<(), OutboxError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| QueueError::Call(error);
        let is_fifo = url.ends_with(".fifo");
        let entries = batch.iter().enumerate();
        let entries = entries.map(|(at, message)| entry(at, message, is_fifo));
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|error| failed(error.into()))?;
        let send = self.client.send_message_batch().queue_url(url);
        let sent = send.set_entries(Some(entries)).send().await;
        let sent = sent.map_err(|error| failed(Box::new(error)))?;
        let codes = sent.failed().iter().map(|refused| refused.code());
        // What may succeed later comes first, so that the messages of the batch are tried again.
        match codes.min_by_key(|code| is_final(code)) {
            Some(code) if is_final(code) => Err(OutboxError::Refused(code.to_owned())),
            Some(code) => Err(failed(code.into()).into()),
            None => Ok(()),
        }
    }
}

/// Whether SQS refuses a message for its content, by the code of the error.
fn is_final(code: &str) -> bool {
    let of_content = [
        "InvalidMessageContents",
        "InvalidParameterValue",
        "MissingParameter",
    ];
    of_content.iter().any(|name| code.contains(name))
}

/// A message of a batch. A FIFO queue needs a group, for which kombu takes `default`, and an id to drop
/// duplicates by; a standard queue refuses that id.
fn entry(at: usize, message: &Outgoing, is_fifo: bool) -> Result<Entry, BuildError> {
    let group = message.message_group.clone();
    let of_body = || Uuid::new_v5(&BODIES, message.body.as_bytes()).to_string();
    let deduplication = is_fifo.then(|| message.deduplication.clone().unwrap_or_else(of_body));
    Entry::builder()
        .id(at.to_string())
        .message_body(&message.body)
        .set_message_group_id(group.or_else(|| is_fifo.then(|| "default".to_owned())))
        .set_message_deduplication_id(deduplication)
        // A FIFO queue takes no delay of one message.
        .set_delay_seconds(message.delay.filter(|_| !is_fifo))
        .build()
}

/// Pairs of texts, as `a=b,c=d`. A URL may contain `=`.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = text.split(',').map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty());
    let pair = |entry: &str| {
        let (name, value) = entry
            .split_once('=')
            .ok_or_else(|| format!("{entry:?} has no `=`"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    entries.map(pair).collect()
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            let Some(name) = name.strip_prefix(start) else {
                return false;
            };
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            let mut ends = ends;
            ends.any(|at| matches(rest, &name[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("a", "a"),
            ("*", ""),
            ("*", "a.b"),
            ("a.*", "a.b"),
            ("*.b", "a.b"),
            ("a*c*e", "abcde"),
            ("*ä*", "xäy"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a.*", "a"), ("*.b", "a.c"), ("", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn queues_and_routes_are_pairs() {
        let url = "http://a/?x=1";
        let found = pairs(&format!("celery={url}, b = c,")).unwrap();
        let expected = [("celery", url), ("b", "c")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(pairs("a").is_err());
    }
}
