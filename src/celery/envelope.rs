//! Kombu's envelope: what surrounds a message in the body of an SQS message.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::compression::{DecompressError, decompress};
use super::message::Properties;
use super::refused::{Kind, Refused};
use crate::json::{Json, Object, ParseError, parse, parse_str};

/// Base64 as Python reads it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The content type of JSON.
pub(super) const JSON: &str = "application/json";

/// The longest name that is quoted in a reason, in characters.
const MAX_QUOTED: usize = 100;

/// An opened envelope, whose content is not read yet.
pub(super) struct Envelope {
    pub headers: Object,
    pub properties: Properties,
    pub content: Content,
}

/// The content of an envelope: the arguments, in several layers.
pub(super) struct Content {
    body: String,
    is_base64: bool,
    content_type: Option<String>,
    encoding: Option<String>,
    compression: Option<String>,
}

/// The content of an envelope that is decoded elsewhere, compressed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedContent {
    /// The bytes in base64.
    pub body: String,
    /// The content type, such as `application/x-python-serialize`.
    pub content_type: String,
    /// The encoding, such as `binary`.
    pub content_encoding: Option<String>,
}

impl Envelope {
    /// Opens the body of an SQS message.
    pub fn open(body: &str) -> Result<Envelope, Refused> {
        Envelope::of(outer(body).ok_or_else(not_celery)?)
    }

    /// Opens the message of a function's answer: the same parts by other names, and a body that is text
    /// unless `body_encoding` beside the body says otherwise.
    pub fn of_answer(mut message: Object) -> Result<Envelope, Refused> {
        let mut envelope = Object::new();
        for (name, known) in [
            ("headers", "headers"),
            ("body", "body"),
            ("content_type", "content-type"),
            ("content_encoding", "content-encoding"),
        ] {
            envelope.insert(known, message.remove(name).unwrap_or_default());
        }
        let properties = message.remove("properties").unwrap_or_default();
        let mut properties = properties.into_object().unwrap_or_default();
        let encoding = message.remove("body_encoding").unwrap_or_default();
        properties.insert("body_encoding", encoding);
        envelope.insert("properties", properties);
        Envelope::of(envelope)
    }

    /// Opens the object that the body of an SQS message is.
    fn of(mut envelope: Object) -> Result<Envelope, Refused> {
        let [headers, properties] =
            ["headers", "properties"].map(|name| match envelope.remove(name).unwrap_or_default() {
                Json::Object(object) => Some(object),
                Json::Null => Some(Object::new()),
                _ => None,
            });
        let (Some(headers), Some(all)) = (headers, properties) else {
            return Err(not_celery());
        };
        // Without a body, or with neither headers nor properties, the object is of another program.
        let Some(Json::String(body)) = envelope.remove("body") else {
            return Err(not_celery());
        };
        if headers.is_empty() && all.is_empty() {
            return Err(not_celery());
        }
        let text = |value: Option<&Json>| value.and_then(Json::as_str).map(str::to_owned);
        let content = Content {
            body,
            is_base64: all.get("body_encoding").and_then(Json::as_str) == Some("base64"),
            content_type: text(envelope.get("content-type")),
            encoding: text(envelope.get("content-encoding")),
            compression: text(headers.get("compression")),
        };
        let properties = Properties { all };
        Ok(Envelope {
            headers,
            properties,
            content,
        })
    }
}

/// The object that a body is, plain or in base64.
fn outer(body: &str) -> Option<Object> {
    let body = body.trim_ascii();
    let parsed = match body.starts_with('{') {
        true => parse_str(body),
        false => parse(&BASE64.decode(body).ok()?),
    };
    parsed.ok()?.into_object().ok()
}

/// The body of an SQS message with one more header; `None` if the body is no envelope with headers.
pub(super) fn with_header(body: &str, name: &str, value: Json) -> Option<String> {
    let is_plain = body.trim_ascii().starts_with('{');
    let mut envelope = outer(body)?;
    let Some(Json::Object(headers)) = envelope.get_mut("headers") else {
        return None;
    };
    headers.insert(name, value);
    let text = Json::Object(envelope).to_text().ok()?;
    Some(match is_plain {
        true => text,
        false => STANDARD.encode(text),
    })
}

fn not_celery() -> Refused {
    let reason = "the message is no envelope of kombu";
    Refused::new(Kind::NotCelery, reason)
}

impl Content {
    /// The content type. A missing type is taken as JSON: other producers than kombu leave it out.
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(JSON)
    }

    /// The content as it came, which is not decoded here.
    pub fn into_sealed(self) -> Result<SealedContent, Refused> {
        let content_type = self.content_type().to_owned();
        let body = match self.is_base64 {
            true => self.body.trim_ascii().to_owned(),
            false => STANDARD.encode(self.body),
        };
        if BASE64.decode(&body).is_err() {
            let reason = "the arguments are not base64";
            return Err(Refused::new(Kind::DecodeError, reason));
        }
        Ok(SealedContent {
            body,
            content_type,
            content_encoding: self.encoding,
        })
    }

    /// Reads the content: JSON, perhaps compressed.
    pub fn read(self) -> Result<Json, Refused> {
        self.check_type()?;
        let undecodable = |reason: &str| Refused::new(Kind::DecodeError, reason);
        let mut bytes = match self.is_base64 {
            true => BASE64
                .decode(self.body.trim_ascii())
                .map_err(|_| undecodable("the arguments are not base64"))?,
            false => self.body.into_bytes(),
        };
        if let Some(name) = &self.compression {
            bytes = decompress(name, &bytes).map_err(|error| refused(error, name))?;
        }
        parse(&bytes).map_err(|error| {
            undecodable(match error {
                ParseError::LoneSurrogate => "a text of the arguments has half a surrogate pair",
                _ => "the arguments are not JSON",
            })
        })
    }

    /// Refuses everything but JSON.
    fn check_type(&self) -> Result<(), Refused> {
        let content_type = self.content_type();
        if content_type != JSON {
            let reason = format!(
                "the arguments are {}: only application/json is accepted",
                quoted(content_type)
            );
            return Err(Refused::new(Kind::ContentDisallowed, reason));
        }
        let encoding = self.encoding.as_deref().unwrap_or("utf-8");
        let known = ["utf-8", "utf8", "us-ascii", "ascii", "binary"];
        if !known.contains(&encoding.to_ascii_lowercase().as_str()) {
            let reason = format!("the arguments have the encoding {}", quoted(encoding));
            return Err(Refused::new(Kind::DecodeError, reason));
        }
        Ok(())
    }
}

fn refused(error: DecompressError, name: &str) -> Refused {
    let kind = match error {
        DecompressError::TooLarge => Kind::TooLarge,
        DecompressError::Unknown | DecompressError::Broken => Kind::DecodeError,
    };
    let reason = format!("the arguments, compressed as {}: {error}", quoted(name));
    Refused::new(kind, reason)
}

/// A name of a message for a reason: short and without control characters.
fn quoted(name: &str) -> String {
    let short: String = name.chars().take(MAX_QUOTED).collect();
    short.escape_debug().collect()
}
