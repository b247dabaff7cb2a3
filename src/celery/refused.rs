//! Why a message is not a task of Celery.

use super::headers::Headers;

/// A message that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// The kind, for programs.
    pub kind: Kind,
    /// A sentence for people, without anything of the arguments.
    pub reason: String,
    /// The task's id, where it could be read.
    pub id: Option<String>,
    /// The headers, where all could be read: then only the body is at fault, and a failure can be stored
    /// and told to the chain and the chord of the task.
    pub headers: Option<Box<Headers>>,
}

/// The kind of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is no envelope of kombu.
    NotCelery,
    /// A field is missing, of a wrong type or out of bounds.
    Malformed,
    /// The arguments are not JSON: pickle, YAML, MessagePack and the like.
    ContentDisallowed,
    /// The arguments cannot be decoded: broken base64, compression or JSON.
    DecodeError,
    /// The arguments expand to too many bytes.
    TooLarge,
}

impl Kind {
    /// The kind as a word for programs, as in a stored failure.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::NotCelery => "NotCelery",
            Kind::Malformed => "Malformed",
            Kind::ContentDisallowed => "ContentDisallowed",
            Kind::DecodeError => "DecodeError",
            Kind::TooLarge => "TooLarge",
        }
    }
}

impl Refused {
    pub(super) fn new(kind: Kind, reason: impl Into<String>) -> Refused {
        Refused {
            kind,
            reason: reason.into(),
            id: None,
            headers: None,
        }
    }

    pub(super) fn malformed(reason: &str) -> Refused {
        Refused::new(
            Kind::Malformed,
            format!("the message is malformed: {reason}"),
        )
    }

    pub(super) fn with_id(mut self, id: Option<String>) -> Refused {
        self.id = id;
        self
    }

    pub(super) fn with_headers(mut self, headers: Headers) -> Refused {
        self.id = Some(headers.id.clone());
        self.headers = Some(Box::new(headers));
        self
    }
}
