//! What the outside of a message says, without its content. Whoever only looks at messages is not linked with
//! the decoding of contents.

use super::envelope::Envelope;
use crate::json::{Json, Object};

/// The outside of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peek {
    /// The task's id.
    pub id: Option<String>,
    /// The name of the task; unknown for a message of protocol 1, which has the name inside.
    pub task: Option<String>,
    /// The name of the queue in Celery.
    pub queue: Option<String>,
    /// `MessageGroupId`.
    pub group: Option<String>,
}

/// Looks at the body of an SQS message; `None` for a body that is no envelope of kombu.
pub fn peek(body: &str) -> Option<Peek> {
    let envelope = Envelope::open(body).ok()?;
    let header =
        |headers: &Object, name| headers.get(name).and_then(Json::as_str).map(str::to_owned);
    let properties = &envelope.properties;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Some(Peek {
        id: header(&envelope.headers, "id").or_else(|| owned(properties.text("correlation_id"))),
        task: header(&envelope.headers, "task"),
        queue: owned(properties.queue()),
        group: owned(properties.text("MessageGroupId")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::decode;
    use crate::celery::testing::{messages, text};

    #[test]
    fn the_outside_of_a_message_names_its_task() {
        for one in messages() {
            let body = text(one, "message");
            let (seen, read) = (peek(body).unwrap(), decode(body).unwrap());
            assert_eq!(seen.id, Some(read.headers.id));
            assert_eq!(seen.queue.as_deref(), read.properties.queue());
            let is_known = !read.all_headers.is_empty();
            assert_eq!(seen.task, is_known.then_some(read.headers.task));
        }
        for other in ["", "x", "{}", "[]", r#"{"v":1,"id":"a","job":"b"}"#] {
            assert_eq!(peek(other), None, "{other}");
        }
    }
}
