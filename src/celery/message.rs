//! A message of Celery's protocol 1 or 2.

pub use super::envelope::SealedContent;
use super::envelope::{Content, Envelope, JSON};
use super::headers::{self, Headers};
use super::refused::{Kind, Refused};
use crate::json::{Json, Object};

/// One submission of a task by Celery. Values are as in the message: typed values of kombu stay typed (see
/// [`to_plain`](super::typed::to_plain)).
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What the message says about the task.
    pub headers: Headers,
    /// All headers as in the message; empty for a message of protocol 1.
    pub all_headers: Object,
    /// The positional arguments.
    pub args: Vec<Json>,
    /// The keyword arguments.
    pub kwargs: Object,
    /// What the end of the task sets off.
    pub embed: Embed,
    /// What the message says about its delivery.
    pub properties: Properties,
}

/// A submission whose arguments are decoded by the function that runs the task.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// What the message says about the task.
    pub headers: Headers,
    /// All headers as in the message.
    pub all_headers: Object,
    /// What the message says about its delivery.
    pub properties: Properties,
    /// The arguments, and what the end of the task sets off.
    pub content: SealedContent,
}

/// A message that was read as far as it is read here.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    /// All of the message was read.
    Message(Box<Message>),
    /// The headers and the properties were read.
    Sealed(Box<Sealed>),
}

/// What the end of a task sets off: signatures, as in the message. Each is an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embed {
    /// Sent when the task succeeds, with its result.
    pub callbacks: Vec<Json>,
    /// Sent when the task fails, with its id.
    pub errbacks: Vec<Json>,
    /// The rest of the chain, **the next task last**.
    pub chain: Vec<Json>,
    /// The body of the chord that the task is a member of.
    pub chord: Option<Json>,
}

/// Kombu's properties of a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties {
    /// All properties, as in the message.
    pub all: Object,
}

impl Properties {
    /// The name of the queue in Celery, before kombu makes a name for SQS of it.
    pub fn queue(&self) -> Option<&str> {
        let info = self.all.get("delivery_info")?;
        info.get("routing_key")?.as_str()
    }

    /// A property that is a text, such as `reply_to` or `MessageGroupId`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.as_str()
    }

    /// The priority; SQS ignores it.
    pub fn priority(&self) -> Option<i64> {
        self.all.get("priority")?.as_i64()
    }
}

/// Reads the body of an SQS message: kombu's envelope, plain or in base64, with a message of protocol 1 or
/// 2 inside.
///
/// # Errors
/// [`Refused`] says why, and has the task's id and headers where these could be read. The kind is
/// [`Kind::NotCelery`] for a body that is no envelope of kombu.
pub fn decode(body: &str) -> Result<Message, Refused> {
    read(Envelope::open(body)?)
}

/// As [`decode`], but leaves a content that is not JSON as it is if `is_sealed` says so, of the task's name
/// and the content type.
///
/// # Errors
/// As [`decode`].
pub fn open(body: &str, is_sealed: impl Fn(&str, &str) -> bool) -> Result<Opened, Refused> {
    opened(Envelope::open(body)?, is_sealed)
}

/// As [`open`], for the message of a function's answer.
pub(super) fn open_answer(
    message: Object,
    is_sealed: impl Fn(&str, &str) -> bool,
) -> Result<Opened, Refused> {
    opened(Envelope::of_answer(message)?, is_sealed)
}

fn opened(envelope: Envelope, is_sealed: impl Fn(&str, &str) -> bool) -> Result<Opened, Refused> {
    let task = envelope.headers.get("task").and_then(Json::as_str);
    let content_type = envelope.content.content_type();
    match task {
        Some(task) if content_type != JSON && is_sealed(task, content_type) => {
            sealed(envelope).map(|sealed| Opened::Sealed(Box::new(sealed)))
        }
        _ => read(envelope).map(|message| Opened::Message(Box::new(message))),
    }
}

/// Reads an opened envelope.
fn read(envelope: Envelope) -> Result<Message, Refused> {
    match envelope.headers.contains_key("task") {
        true => protocol_2(envelope),
        false => protocol_1(envelope),
    }
}

fn sealed(envelope: Envelope) -> Result<Sealed, Refused> {
    let headers = headers_of(&envelope.headers)?;
    match envelope.content.into_sealed() {
        Ok(content) => Ok(Sealed {
            headers,
            all_headers: envelope.headers,
            properties: envelope.properties,
            content,
        }),
        Err(refused) => Err(refused.with_headers(headers)),
    }
}

fn headers_of(all: &Object) -> Result<Headers, Refused> {
    let id = all.get("id").and_then(Json::as_str);
    let id = id.filter(|id| headers::is_id(id)).map(str::to_owned);
    let headers = headers::of_protocol_2(all);
    headers.map_err(|reason| Refused::malformed(reason).with_id(id))
}

fn protocol_2(envelope: Envelope) -> Result<Message, Refused> {
    let headers = headers_of(&envelope.headers)?;
    let content = envelope.content.read();
    let read = content.and_then(|body| parts(body).map_err(Refused::malformed));
    match read {
        Ok((args, kwargs, embed)) => Ok(Message {
            headers,
            all_headers: envelope.headers,
            args,
            kwargs,
            embed,
            properties: envelope.properties,
        }),
        Err(refused) => Err(refused.with_headers(headers)),
    }
}

/// The parts of the body of protocol 2: `[args, kwargs, embed]`.
fn parts(body: Json) -> Result<(Vec<Json>, Object, Embed), &'static str> {
    const SHAPE: &str = "the body is not a list of args, kwargs and embed";
    let Json::Array(parts) = body else {
        return Err(SHAPE);
    };
    let [args, kwargs, embed] = <[Json; 3]>::try_from(parts).map_err(|_| SHAPE)?;
    let embed = match embed {
        Json::Null => Embed::default(),
        Json::Object(embed) => read_embed(embed)?,
        _ => return Err("embed is not an object"),
    };
    Ok((read_args(args)?, read_kwargs(kwargs)?, embed))
}

fn read_args(args: Json) -> Result<Vec<Json>, &'static str> {
    match args {
        Json::Null => Ok(Vec::new()),
        Json::Array(args) => Ok(args),
        _ => Err("args is not a list"),
    }
}

fn read_kwargs(kwargs: Json) -> Result<Object, &'static str> {
    match kwargs {
        Json::Null => Ok(Object::new()),
        Json::Object(kwargs) => Ok(kwargs),
        _ => Err("kwargs is not an object"),
    }
}

pub(super) fn read_embed(mut embed: Object) -> Result<Embed, &'static str> {
    let mut list = |name| signatures(take(&mut embed, name));
    let [callbacks, errbacks, chain] = ["callbacks", "errbacks", "chain"].map(&mut list);
    let chord = match take(&mut embed, "chord") {
        Json::Null => None,
        Json::Object(chord) => Some(Json::Object(chord)),
        _ => return Err("chord is not a signature"),
    };
    Ok(Embed {
        callbacks: callbacks.ok_or("callbacks is not a list of signatures")?,
        errbacks: errbacks.ok_or("errbacks is not a list of signatures")?,
        chain: chain.ok_or("chain is not a list of signatures")?,
        chord,
    })
}

fn take(object: &mut Object, name: &str) -> Json {
    object.get_mut(name).map(std::mem::take).unwrap_or_default()
}

/// A list of signatures; one alone is a list too.
fn signatures(value: Json) -> Option<Vec<Json>> {
    match value {
        Json::Null => Some(Vec::new()),
        Json::Object(one) => Some(vec![Json::Object(one)]),
        Json::Array(all) if all.iter().all(|one| one.as_object().is_some()) => Some(all),
        _ => None,
    }
}

/// Protocol 1: all is in the body, one object.
fn protocol_1(envelope: Envelope) -> Result<Message, Refused> {
    let content: Content = envelope.content;
    let Json::Object(mut body) = content.read()? else {
        let reason = "the message names no task";
        return Err(Refused::malformed(reason));
    };
    let id = body.get("id").and_then(Json::as_str);
    let id = id.filter(|id| headers::is_id(id)).map(str::to_owned);
    let malformed = |reason| Refused::malformed(reason).with_id(id.clone());
    if !body.contains_key("task") {
        return Err(Refused::new(Kind::NotCelery, "the message names no task"));
    }
    let headers = headers::of_protocol_1(&body).map_err(malformed)?;
    let args = read_args(take(&mut body, "args")).map_err(malformed)?;
    let kwargs = read_kwargs(take(&mut body, "kwargs")).map_err(malformed)?;
    let embed = read_embed(body).map_err(malformed)?;
    Ok(Message {
        headers,
        all_headers: Object::new(),
        args,
        kwargs,
        embed,
        properties: envelope.properties,
    })
}

#[cfg(test)]
mod tests;
