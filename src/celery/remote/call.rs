//! The calls of an answer: what a task's end sends and stores, as its function's tracer would have done it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::celery::encode::MAX_BODY;
use crate::celery::headers::is_id;
use crate::celery::letter::{Attribute, Letter, Value};
use crate::celery::store::MAX_RESULT;
use crate::json::{Json, Object, parse_str};

/// The longest `MessageGroupId` and `MessageDeduplicationId`, in characters.
const MAX_GROUP: usize = 128;
/// The most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;
/// The longest delay of a message in seconds.
const MAX_DELAY: i64 = 900;

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Sends a message.
    Send(Letter),
    /// Stores an item of the table of results.
    Store(Item),
    /// Counts the task in its chord, or in the chord that is named.
    Chord(Option<Chord>),
}

/// An item of the table of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name of the table.
    pub table: String,
    /// The key.
    pub id: String,
    /// What the item has.
    pub content: Content,
}

/// What an item of the table of results has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes of a result or of a group.
    Result(Vec<u8>),
    /// The counter of a chord that begins.
    Counter,
}

/// The chord that the task is a member of, or that a task is a member of which never runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Chord {
    /// The id of the chord's header, a group.
    pub group: String,
    /// The body; `None` if the message that was read has the body.
    pub body: Option<Json>,
}

/// Reads a list of calls.
///
/// # Errors
/// For what is no call, with a reason that quotes no content.
pub fn read_calls(json: &RawValue) -> Result<Vec<Call>, String> {
    let Ok(Json::Array(calls)) = parse_str(json.get()) else {
        return Err("the calls are not a list".to_owned());
    };
    let calls = calls.into_iter().enumerate();
    let calls = calls.map(|(at, call)| {
        let read = call.into_object().map_err(|_| "it is not an object");
        let read = read.and_then(read_call);
        read.map_err(|reason| format!("the call number {} is malformed: {reason}", at + 1))
    });
    calls.collect()
}

/// The calls of an end that are no more than one.
#[derive(Debug, PartialEq, Eq)]
pub enum Few {
    /// There are no calls.
    None,
    /// The bytes of the result of this key are stored.
    Store(Vec<u8>),
}

/// Reads calls that are none, or nothing but the store of the result of this key; `None` for all other calls.
pub fn read_few(calls: &RawValue, key: &str) -> Option<Few> {
    let mut calls = read_calls(calls).ok()?.into_iter();
    match (calls.next(), calls.next()) {
        (None, _) => Some(Few::None),
        (Some(Call::Store(item)), None) if item.id == key => match item.content {
            Content::Result(bytes) => Some(Few::Store(bytes)),
            Content::Counter => None,
        },
        _ => None,
    }
}

type Checked<T> = Result<T, &'static str>;

fn read_call(call: Object) -> Checked<Call> {
    let mut members = call.into_iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else {
        return Err("it does not have one member");
    };
    match (&*name, value) {
        ("send", Json::Object(letter)) => read_letter(letter).map(Call::Send),
        ("store", Json::Object(item)) => read_result(item).map(Call::Store),
        ("counter", Json::Object(item)) => read_counter(item).map(Call::Store),
        ("chord", Json::Bool(true)) => Ok(Call::Chord(None)),
        ("chord", Json::Object(chord)) => read_chord(chord).map(|chord| Call::Chord(Some(chord))),
        _ => Err("it is no send, store, counter or chord"),
    }
}

fn read_letter(mut letter: Object) -> Checked<Letter> {
    let queue_url = needed(&mut letter, "queue_url", "queue_url is not a text")?;
    let body = needed(&mut letter, "body", "body is not a text")?;
    let delay = match letter.remove("delay").unwrap_or_default() {
        Json::Null => None,
        delay => {
            let delay = delay
                .as_i64()
                .filter(|delay| (0..=MAX_DELAY).contains(delay));
            let delay = delay.ok_or("delay is not a number of seconds up to 900")?;
            i32::try_from(delay).ok()
        }
    };
    let group = group(
        &mut letter,
        "group",
        "group is not a text of 1 to 128 characters",
    )?;
    let wrong = "deduplication is not a text of 1 to 128 characters";
    let deduplication = self::group(&mut letter, "deduplication", wrong)?;
    let attributes = match letter.remove("attributes").unwrap_or_default() {
        Json::Null => Vec::new(),
        Json::Object(attributes) => read_attributes(attributes)?,
        _ => return Err("attributes is not an object"),
    };
    let size = body.len() + attributes.iter().map(Attribute::size).sum::<usize>();
    if body.is_empty() || size > MAX_BODY {
        return Err("the message is empty or larger than SQS takes");
    }
    Ok(Letter {
        queue_url,
        body,
        delay,
        group,
        deduplication,
        attributes,
    })
}

fn read_attributes(attributes: Object) -> Checked<Vec<Attribute>> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err("there are more than 10 attributes");
    }
    let read = attributes.into_iter().map(|(name, attribute)| {
        let wrong = "an attribute is not a type and a value";
        let mut attribute = attribute.into_object().map_err(|_| wrong)?;
        let kind = needed(&mut attribute, "type", wrong)?;
        let value = needed(&mut attribute, "value", wrong)?;
        let value = match kind.split('.').next() {
            Some("String" | "Number") => Value::Text(value),
            Some("Binary") => Value::Bytes(STANDARD.decode(value).map_err(|_| wrong)?),
            _ => return Err("the type of an attribute is neither String, Number nor Binary"),
        };
        Ok(Attribute { name, kind, value })
    });
    read.collect()
}

fn read_result(mut item: Object) -> Checked<Item> {
    let wrong = "result is not base64";
    let result = needed(&mut item, "result", wrong)?;
    let bytes = STANDARD.decode(result).map_err(|_| wrong)?;
    if bytes.len() > MAX_RESULT {
        return Err("the result is larger than an item of Celery's table takes");
    }
    read_item(item, Content::Result(bytes))
}

fn read_counter(item: Object) -> Checked<Item> {
    read_item(item, Content::Counter)
}

fn read_item(mut item: Object, content: Content) -> Checked<Item> {
    let table = needed(&mut item, "table", "table is not a text")?;
    let id = needed(&mut item, "id", "id is not a text")?;
    Ok(Item { table, id, content })
}

fn read_chord(mut chord: Object) -> Checked<Chord> {
    let group = needed(&mut chord, "group", "group is not a text")?;
    let body = match chord.remove("body").unwrap_or_default() {
        Json::Null => None,
        body if body.as_object().is_some() => Some(body),
        _ => return Err("body is not a signature"),
    };
    match is_id(&group) {
        true => Ok(Chord { group, body }),
        false => Err("group is not an id"),
    }
}

fn needed(object: &mut Object, name: &str, wrong: &'static str) -> Checked<String> {
    match object.remove(name) {
        Some(Json::String(text)) => Ok(text),
        _ => Err(wrong),
    }
}

fn group(object: &mut Object, name: &str, wrong: &'static str) -> Checked<Option<String>> {
    match object.remove(name).unwrap_or_default() {
        Json::Null => Ok(None),
        Json::String(text) if !text.is_empty() && text.len() <= MAX_GROUP => Ok(Some(text)),
        _ => Err(wrong),
    }
}
