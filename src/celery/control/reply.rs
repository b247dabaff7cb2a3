//! Replies to clients, by the queues that the clients create.

use aws_sdk_sqs::Client;
use uuid::Uuid;

use super::request::{ReplyTo, Request};
use crate::aws::Lazy;
use crate::celery::encode::in_envelope;
use crate::celery::outbox::pairs;
use crate::celery::queue_name::sqs_name;
use crate::error::Chain;
use crate::json::{Json, Object};

/// The longest name of a queue in SQS.
const MAX_NAME: usize = 80;

/// The queues of replies. Their names have the same prefix as the stack's own queue of Celery, and the
/// client creates them.
#[derive(Debug, Clone)]
pub struct Replies {
    client: Lazy<Client>,
    /// What the URLs of all queues begin with, the prefix of the names included.
    base: String,
    /// The names in Celery of the queues that this worker receives from.
    queues: Vec<String>,
}

impl Replies {
    /// Replies beside `queues`, as `name=URL`, separated by commas.
    ///
    /// # Errors
    /// Without a queue, and when the URL of the first queue does not end with its name.
    pub fn new(client: impl Into<Lazy<Client>>, queues: &str) -> Result<Replies, String> {
        let queues = pairs(queues)?;
        let (name, url) = queues.first().ok_or("there is no queue")?;
        let base = url.strip_suffix(&*sqs_name("", name));
        let base = base.filter(|base| base.contains('/'));
        let base = base.ok_or_else(|| format!("the URL of {name:?} does not end with the name"))?;
        Ok(Replies {
            client: client.into(),
            base: base.to_owned(),
            queues: queues.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    /// The names in Celery of the queues that this worker receives from.
    pub fn queues(&self) -> &[String] {
        &self.queues
    }

    /// Sends a reply. A failure is noted and ends here: the sender may have gone and deleted its queue.
    pub(super) async fn send(&self, to: &ReplyTo, request: &Request, reply: Json) {
        let Some(url) = self.url(to) else {
            tracing::warn!("a reply has an address that is no name of a queue");
            return;
        };
        let body = match body(to, request, &reply) {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(%error, "a reply is not sent");
                return;
            }
        };
        let send = self.client.send_message().queue_url(url);
        if let Err(error) = send.message_body(body).send().await {
            tracing::warn!(error = %Chain(&error), "a reply is not sent");
        }
    }

    /// The URL of the queue of an address, which kombu names by both parts of it; `None` for what is no
    /// name of a queue in SQS.
    pub(super) fn url(&self, to: &ReplyTo) -> Option<String> {
        let name = sqs_name("", &format!("{}.{}", to.routing_key, to.exchange));
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_name = name.len() <= MAX_NAME && name.chars().all(is_allowed);
        is_name.then(|| format!("{}{name}", self.base))
    }
}

/// The message of a reply, as a worker of Celery writes it.
pub(super) fn body(
    to: &ReplyTo,
    request: &Request,
    reply: &Json,
) -> Result<String, crate::celery::encode::TooLarge> {
    let mut headers = Object::new();
    headers.insert("ticket", request.ticket.clone());
    headers.insert("clock", request.next_clock());
    let info = Json::object([
        ("exchange", Json::from(&*to.exchange)),
        ("routing_key", (&*to.routing_key).into()),
    ]);
    let mut properties = Object::new();
    properties.insert("delivery_mode", 1);
    properties.insert("delivery_info", info);
    properties.insert("priority", 0);
    properties.insert("body_encoding", "base64");
    properties.insert("delivery_tag", Uuid::new_v4().to_string());
    in_envelope(reply, headers, properties)
}
