//! The message of a task as its remote body gets the message.

use serde_json::value::RawValue;

use super::kept::full_headers;
use crate::celery::canvas::trace_headers;
use crate::celery::origin::{Arguments, data_of, read};
use crate::json::{Json, Object};
use crate::tasks::task::Task;
use crate::trace::Trace;

/// The part of a request that is named after the format: the message with all its headers, in the form of
/// protocol 2. `input` is the input of the task, `trace` that of the attempt; `None` for a task of another format.
/// `is_started`: the worker has stored STARTED, so that the function need not.
///
/// The arguments are the text of a message's body, with typed values and numbers as they came, so that NaN
/// and the infinities pass, which are no JSON.
pub fn request(
    task: &Task,
    input: &RawValue,
    trace: Option<&Trace>,
    is_started: bool,
) -> Option<Box<RawValue>> {
    let mut data = data_of(task)?;
    let mut object = |name| data.remove(name)?.into_object().ok();
    let (kept, embed) = (object("headers")?, object("embed"));
    let properties = object("properties").unwrap_or_default();
    let (id, arguments) = (task.id.as_str(), Arguments::read(input));
    let mut part = Object::new();
    let mut headers = full_headers(kept, id, arguments.as_ref());
    headers.extend(trace.map(trace_headers).unwrap_or_default());
    part.insert("headers", headers);
    part.insert("properties", properties);
    if is_started {
        part.insert("started", true);
    }
    match arguments {
        Some(arguments) => {
            part.insert("content_type", "application/json");
            part.insert("content_encoding", "utf-8");
            part.insert("body", body(arguments, embed.unwrap_or_default()));
        }
        None => {
            let mut sealed = read(input)?.into_object().ok()?;
            for name in ["content_type", "content_encoding", "body"] {
                part.insert(name, sealed.remove(name)?);
            }
            part.insert("body_encoding", "base64");
        }
    }
    let mut part = Json::from(part);
    // Headers and properties of Python may have what is no JSON.
    part.replace_not_finite();
    RawValue::from_string(part.to_string()).ok()
}

/// The body of a message: `[args, kwargs, embed]`.
fn body(arguments: Arguments, mut embed: Object) -> String {
    let parts = ["callbacks", "errbacks", "chain", "chord"];
    let embed = parts.map(|name| (name, embed.remove(name).unwrap_or_default()));
    let parts = [
        arguments.args.into(),
        arguments.kwargs.into(),
        Json::object(embed),
    ];
    Json::array(parts).to_string()
}
