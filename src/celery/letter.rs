//! A message to a queue that is known by its URL.

use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::MessageAttributeValue;

/// A message whose queue is known by its URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Letter {
    /// The URL of the queue, as the sender knows the queue.
    pub queue_url: String,
    /// The body.
    pub body: String,
    /// The delay in seconds.
    pub delay: Option<i32>,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `MessageDeduplicationId`.
    pub deduplication: Option<String>,
    /// The attributes of the message.
    pub attributes: Vec<Attribute>,
}

/// An attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name.
    pub name: String,
    /// `String`, `Number` or `Binary`, perhaps with a type of the application's own behind a dot.
    pub kind: String,
    /// The value.
    pub value: Value,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a text or a number.
    Text(String),
    /// Of a binary attribute.
    Bytes(Vec<u8>),
}

impl Attribute {
    /// The bytes that count in the size of the message.
    pub fn size(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        };
        self.name.len() + self.kind.len() + value
    }

    /// The attribute for SQS.
    ///
    /// # Errors
    /// None, as the type is set.
    pub(super) fn to_value(&self) -> Result<MessageAttributeValue, BuildError> {
        let value = MessageAttributeValue::builder().data_type(&self.kind);
        let value = match &self.value {
            Value::Text(text) => value.string_value(text),
            Value::Bytes(bytes) => value.binary_value(Blob::new(bytes.clone())),
        };
        value.build()
    }
}
