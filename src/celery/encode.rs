//! Writes a message as Celery's clients and workers do: protocol 2 in kombu's envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Json, Object};

/// The most bytes of an SQS message's body.
pub const MAX_BODY: usize = 1024 * 1024;

/// A message that is larger than SQS takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message of a task would have {size} bytes, and SQS takes {MAX_BODY}")]
pub struct TooLarge {
    /// The size of the body in bytes.
    pub size: usize,
}

/// The content of a message: the arguments, and what the end of the task sets off. An unset list of
/// signatures is null.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub args: Vec<Json>,
    pub kwargs: Object,
    pub callbacks: Json,
    pub errbacks: Json,
    pub chain: Json,
    pub chord: Json,
}

/// The body of an SQS message.
///
/// # Errors
/// For a body that SQS does not take.
pub(super) fn encode(
    headers: Object,
    content: Content,
    properties: Object,
) -> Result<String, TooLarge> {
    let embed = Json::object([
        ("callbacks", content.callbacks),
        ("errbacks", content.errbacks),
        ("chain", content.chain),
        ("chord", content.chord),
    ]);
    let parts = vec![content.args.into(), content.kwargs.into(), embed];
    in_envelope(&Json::Array(parts), headers, properties)
}

/// As [`encode`], for any content.
///
/// # Errors
/// For a body that SQS does not take.
pub(super) fn in_envelope(
    content: &Json,
    headers: Object,
    properties: Object,
) -> Result<String, TooLarge> {
    let content = content.to_string();
    // Base64 twice makes 16 bytes of 9: what is too large in any case need not be written.
    check(content.len() / 9 * 16)?;
    let envelope = Json::object([
        ("body", Json::from(STANDARD.encode(content))),
        ("content-encoding", "utf-8".into()),
        ("content-type", "application/json".into()),
        ("headers", headers.into()),
        ("properties", properties.into()),
    ]);
    let body = STANDARD.encode(envelope.to_string());
    check(body.len())?;
    Ok(body)
}

fn check(size: usize) -> Result<(), TooLarge> {
    match size > MAX_BODY {
        true => Err(TooLarge { size }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::decode;
    use crate::celery::testing::{messages, text};

    #[test]
    fn every_message_is_read_again_as_it_was() {
        let mut count = 0;
        for one in messages() {
            let Some(headers) = one.get("headers").and_then(Json::as_object) else {
                continue;
            };
            if headers.is_empty() {
                continue;
            }
            let sent = decode(text(one, "message")).unwrap();
            let content = Content {
                args: sent.args.clone(),
                kwargs: sent.kwargs.clone(),
                callbacks: sent.embed.callbacks.clone().into(),
                errbacks: sent.embed.errbacks.clone().into(),
                chain: sent.embed.chain.clone().into(),
                chord: sent.embed.chord.clone().unwrap_or_default(),
            };
            let mut headers = headers.clone();
            headers.remove("compression");
            let mut properties = sent.properties.all.clone();
            properties.insert("body_encoding", "base64");
            let body = encode(headers, content, properties.clone()).unwrap();
            let mut back = decode(&body).unwrap();
            assert_eq!(back.properties.all, properties);
            back.properties = sent.properties.clone();
            back.all_headers = sent.all_headers.clone();
            assert_eq!(back, sent);
            count += 1;
        }
        assert!(count > 80, "{count}");
    }

    #[test]
    fn what_sqs_does_not_take_is_refused_with_its_size() {
        let encode = |length: usize| {
            let args = vec!["x".repeat(length).into()];
            let content = Content {
                args,
                ..Content::default()
            };
            encode(Object::new(), content, Object::new())
        };
        let most = (0..=MAX_BODY).rev().step_by(1_000);
        let most = most
            .into_iter()
            .find(|length| encode(*length).is_ok())
            .unwrap();
        assert!(encode(most).unwrap().len() > MAX_BODY - 2_000);
        for length in [most + 1_000, 2 * MAX_BODY] {
            let error = encode(length).unwrap_err();
            assert!(error.size > MAX_BODY);
            assert!(error.to_string().contains("1048576"), "{error}");
        }
    }
}
