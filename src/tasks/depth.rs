//! How many messages wait in queues.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use futures_util::future::try_join_all;

use super::queue::QueueError;

/// Queues by name, to be looked at.
#[derive(Debug, Clone)]
pub struct Queues {
    client: Client,
    /// The name and the URL of each.
    queues: Vec<(String, String)>,
}

/// The messages of a queue, as SQS counts them: approximately, and a minute after a change for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The queue's name.
    pub name: String,
    /// Messages that wait for a worker.
    pub visible: u64,
    /// Messages that a worker holds, or that wait for their next attempt.
    pub in_flight: u64,
    /// Messages that are not due.
    pub delayed: u64,
}

impl Queues {
    /// The queues with these names and URLs.
    pub fn new(client: Client, queues: Vec<(String, String)>) -> Queues {
        Queues { client, queues }
    }

    /// The names of the queues.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|(name, _)| name.as_str())
    }

    /// The depth of each queue, by one call for each.
    ///
    /// # Errors
    /// When SQS does not answer.
    pub async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        let depths = self.queues.iter().map(|(name, url)| self.depth(name, url));
        try_join_all(depths).await
    }

    async fn depth(&self, name: &str, url: &str) -> Result<Depth, QueueError> {
        let wanted = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::ApproximateNumberOfMessagesDelayed,
        ];
        let ask = self.client.get_queue_attributes().queue_url(url);
        let ask = ask.set_attribute_names(Some(wanted.to_vec()));
        let answer = ask.send().await;
        let answer = answer.map_err(|error| QueueError::Call(Box::new(error)))?;
        let found = answer.attributes.unwrap_or_default();
        let [visible, in_flight, delayed] = wanted.map(|name| {
            let number = found.get(&name).and_then(|text| text.parse().ok());
            number.unwrap_or(0)
        });
        Ok(Depth {
            name: name.to_owned(),
            visible,
            in_flight,
            delayed,
        })
    }
}
