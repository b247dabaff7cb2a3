//! How many messages the queues hold, as SQS counts them.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use futures_util::future::try_join_all;

use super::queue::QueueError;

/// The queues whose messages are counted, by the names that operators know.
#[derive(Debug, Clone)]
pub struct Depths {
    client: Client,
    queues: Vec<(String, String)>,
}

/// How many messages a queue holds. SQS' numbers are approximate, and a minute old at most once nobody sends
/// or receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The name of the queue.
    pub name: String,
    /// Messages that can be received.
    pub visible: u64,
    /// Messages that were received and are neither deleted nor visible again: of tasks that run, and of tasks
    /// that wait for another attempt.
    pub in_flight: u64,
    /// Messages that were sent with a delay that is not over.
    pub delayed: u64,
}

impl Depths {
    /// The queues with these names and URLs.
    pub fn new(client: Client, queues: Vec<(String, String)>) -> Depths {
        Depths { client, queues }
    }

    /// The numbers of each queue, in order: one call for each.
    ///
    /// # Errors
    /// When SQS does not answer.
    pub async fn read(&self) -> Result<Vec<Depth>, QueueError> {
        let queues = self.queues.iter();
        try_join_all(queues.map(|(name, url)| self.depth(name, url))).await
    }

    async fn depth(&self, name: &str, url: &str) -> Result<Depth, QueueError> {
        let get = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(Name::ApproximateNumberOfMessages)
            .attribute_names(Name::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(Name::ApproximateNumberOfMessagesDelayed);
        let answer = get.send().await;
        let answer = answer.map_err(|error| QueueError::Call(Box::new(error)))?;
        let number = |name: Name| {
            let value = answer.attributes().and_then(|all| all.get(&name));
            value.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Ok(Depth {
            name: name.to_owned(),
            visible: number(Name::ApproximateNumberOfMessages),
            in_flight: number(Name::ApproximateNumberOfMessagesNotVisible),
            delayed: number(Name::ApproximateNumberOfMessagesDelayed),
        })
    }
}
