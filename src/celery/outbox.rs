//! The queues that a workflow's messages are sent to.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry as Entry;
use futures_util::StreamExt;
use futures_util::stream;
use uuid::Uuid;

use super::canvas::Outgoing;
use super::letter::{Attribute, Letter};
use super::queue_name::{FIFO, is_same_queue};
use crate::tasks::queue::{BATCH, MAX_MESSAGE, QueueError};
use crate::tasks::registry::matches;

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

/// What SQS gets of a message.
struct Parcel<'a> {
    url: &'a str,
    body: &'a str,
    delay: Option<i32>,
    group: Option<&'a str>,
    deduplication: Option<&'a str>,
    attributes: &'a [Attribute],
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

    /// The URL of a queue that is configured, perhaps under another host: a client may reach the queue by
    /// another name.
    ///
    /// # Errors
    /// When the queue is not configured.
    pub fn known(&self, url: &str) -> Result<&str, OutboxError> {
        let mut urls = self.urls();
        let known = urls.find(|known| is_same_queue(known, url));
        known.ok_or_else(|| OutboxError::UnknownQueue(url.to_owned()))
    }

    /// Whether a queue of this name in Celery is configured.
    pub fn has(&self, name: &str) -> bool {
        self.queues.iter().any(|(queue, _)| queue == name)
    }

    /// Sends messages in order. After a failure some may have been sent.
    ///
    /// # Errors
    /// When a queue is not configured, or SQS does not take a message.
    pub async fn send(&self, messages: &[Outgoing]) -> Result<(), OutboxError> {
        let parcels = messages.iter().map(|message| self.parcel(message));
        let parcels: Vec<Parcel> = parcels.collect::<Result<_, OutboxError>>()?;
        let refused = self.send_parcels(&parcels).await?;
        let mut codes = refused.into_iter().map(|(_, code)| code);
        codes
            .next()
            .map_or(Ok(()), |code| Err(OutboxError::Refused(code)))
    }

    /// Sends messages at once and in any order. Returns the outcome of each message.
    pub async fn send_each(&self, messages: &[Outgoing]) -> Vec<Result<(), Arc<OutboxError>>> {
        let (mut parcels, mut places) = (Vec::new(), Vec::new());
        let mut outcomes: Vec<Result<(), Arc<OutboxError>>> = vec![Ok(()); messages.len()];
        for (place, message) in messages.iter().enumerate() {
            match self.parcel(message) {
                Ok(parcel) => {
                    parcels.push(parcel);
                    places.push(place);
                }
                Err(unknown) => outcomes[place] = Err(Arc::new(unknown)),
            }
        }
        let sends = batches(&parcels)
            .into_iter()
            .map(|(from, batch)| async move {
                (from..from + batch.len(), self.send_batch(batch).await)
            });
        let sent = stream::iter(sends).buffered(CALLS_AT_ONCE);
        for (range, sent) in sent.collect::<Vec<_>>().await {
            let places = &places[range];
            match sent {
                Ok(refused) => refused.into_iter().for_each(|(at, code)| {
                    if let Some(place) = places.get(at) {
                        outcomes[*place] = Err(Arc::new(OutboxError::Refused(code)));
                    }
                }),
                Err(error) => {
                    let error = Arc::new(error);
                    let failed = || Err(Arc::clone(&error));
                    places.iter().for_each(|place| outcomes[*place] = failed());
                }
            }
        }
        outcomes
    }

    fn parcel<'a>(&'a self, message: &'a Outgoing) -> Result<Parcel<'a>, OutboxError> {
        Ok(Parcel {
            url: self.url(message)?,
            body: &message.body,
            delay: message.delay,
            group: message.message_group.as_deref(),
            deduplication: message.deduplication.as_deref(),
            attributes: &[],
        })
    }

    /// Sends messages in order. Returns the places of those that no try can send, with the reasons.
    ///
    /// # Errors
    /// When SQS does not take a message now. Some may have been sent.
    pub async fn post(&self, letters: &[Letter]) -> Result<Vec<(usize, OutboxError)>, OutboxError> {
        let (mut parcels, mut places, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for (place, letter) in letters.iter().enumerate() {
            match self.known(&letter.queue_url) {
                Ok(url) => {
                    parcels.push(letter.to_parcel(url));
                    places.push(place);
                }
                Err(unknown) => lost.push((place, unknown)),
            }
        }
        let refused = self.send_parcels(&parcels).await?.into_iter();
        let refused =
            refused.filter_map(|(at, code)| Some((*places.get(at)?, OutboxError::Refused(code))));
        lost.extend(refused);
        Ok(lost)
    }

    /// Sends messages in order. Returns the places of those that SQS refuses for their content, with the
    /// codes of the refusals.
    async fn send_parcels(
        &self,
        parcels: &[Parcel<'_>],
    ) -> Result<Vec<(usize, String)>, OutboxError> {
        let mut refused = Vec::new();
        for (from, batch) in batches(parcels) {
            let codes = self.send_batch(batch).await?;
            refused.extend(codes.into_iter().map(|(at, code)| (from + at, code)));
        }
        Ok(refused)
    }

    /// Sends messages to the queue of the first by one call.
    async fn send_batch(&self, batch: &[Parcel<'_>]) -> Result<Vec<(usize, String)>, OutboxError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| QueueError::Call(error);
        let entries = batch.iter().enumerate();
        let entries = entries.map(|(at, parcel)| parcel.to_entry(at));
        let entries: Result<Vec<_>, _> = entries.collect();
        let entries = entries.map_err(|error| failed(error.into()))?;
        let send = self.client.send_message_batch().queue_url(batch[0].url);
        let sent = send.set_entries(Some(entries)).send().await;
        let sent = sent.map_err(|error| failed(Box::new(error)))?;
        let (refused, later): (Vec<_>, Vec<_>) = sent
            .failed()
            .iter()
            .partition(|refused| is_final(refused.code()));
        // What may succeed later comes first, so that the messages of the batch are tried again.
        if let Some(later) = later.first() {
            return Err(failed(later.code().into()).into());
        }
        let refused = refused.into_iter();
        let refused = refused
            .filter_map(|refused| Some((refused.id().parse().ok()?, refused.code().to_owned())));
        Ok(refused.collect())
    }
}

impl Letter {
    fn to_parcel<'a>(&'a self, url: &'a str) -> Parcel<'a> {
        Parcel {
            url,
            body: &self.body,
            delay: self.delay,
            group: self.group.as_deref(),
            deduplication: self.deduplication.as_deref(),
            attributes: &self.attributes,
        }
    }
}

impl Parcel<'_> {
    fn size(&self) -> usize {
        self.body.len() + self.attributes.iter().map(Attribute::size).sum::<usize>()
    }

    /// The message as the entry of a batch. A FIFO queue needs a group, for which kombu takes `default`, and
    /// an id to drop duplicates by, and knows no delay of one message; a standard queue refuses that id.
    fn to_entry(&self, at: usize) -> Result<Entry, BuildError> {
        let is_fifo = self.url.ends_with(FIFO);
        let of_body = || Uuid::new_v5(&BODIES, self.body.as_bytes()).to_string();
        let deduplication = self.deduplication.map(str::to_owned);
        let deduplication = is_fifo.then(|| deduplication.unwrap_or_else(of_body));
        let group = self.group.or(is_fifo.then_some("default"));
        let entry = Entry::builder()
            .id(at.to_string())
            .message_body(self.body)
            .set_delay_seconds(self.delay.filter(|_| !is_fifo))
            .set_message_group_id(group.map(str::to_owned))
            .set_message_deduplication_id(deduplication);
        let mut attributes = self.attributes.iter();
        let entry = attributes.try_fold(entry, |entry, attribute| {
            let value = attribute.to_value()?;
            Ok::<_, BuildError>(entry.message_attributes(&attribute.name, value))
        });
        entry?.build()
    }
}

/// The messages of each call, with the place of its first message.
fn batches<'a, 'b>(parcels: &'b [Parcel<'a>]) -> Vec<(usize, &'b [Parcel<'a>])> {
    let (mut batches, mut from) = (Vec::new(), 0);
    while from < parcels.len() {
        let to = from + fitting(&parcels[from..]);
        batches.push((from, &parcels[from..to]));
        from = to;
    }
    batches
}

/// The number of messages at the front that one call can send to the queue of the first. A message over the
/// limit is sent alone, for SQS to refuse.
fn fitting(parcels: &[Parcel<'_>]) -> usize {
    let mut room = MAX_MESSAGE;
    let fits = parcels.iter().take(BATCH).take_while(|parcel| {
        let left = room.checked_sub(parcel.size());
        room = left.unwrap_or(0);
        parcel.url == parcels[0].url && left.is_some()
    });
    fits.count().max(1)
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

/// Pairs of texts, as `a=b,c=d`, such as names and URLs. A URL may contain `=`.
///
/// # Errors
/// For an entry without `=`.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_and_routes_are_pairs() {
        let url = "http://a/?x=1";
        let found = pairs(&format!("celery={url}, b = c,")).unwrap();
        let expected = [("celery", url), ("b", "c")];
        assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert!(pairs("a").is_err());
    }
}
