//! The headers and the properties of a message as the origin of a remote task keeps them, and as the task's
//! function gets them.

use crate::celery::origin::Arguments;
use crate::celery::python;
use crate::json::{Json, Object};

/// The longest property that is kept, in bytes of its JSON.
const MAX_PROPERTY: usize = 1024;
/// The most bytes of all properties that are kept.
const MAX_PROPERTIES: usize = 8 * 1024;

/// The headers of a message without those that every message has by default: most origins then fit the
/// record. `arguments` are those of the message, if they were read.
pub fn kept_headers(mut headers: Object, id: &str, arguments: Option<&Arguments>) -> Object {
    if arguments.is_some() {
        // The function gets the arguments decompressed.
        headers.remove("compression");
    }
    let defaults = default_headers(id, arguments);
    let kept = headers.into_iter();
    let kept = kept.filter(|(name, value)| defaults.get(name) != Some(value));
    kept.collect()
}

/// All headers of a message of protocol 2, in Celery's order: those that were kept, and the defaults of the
/// others.
pub fn full_headers(kept: Object, id: &str, arguments: Option<&Arguments>) -> Object {
    let mut headers = default_headers(id, arguments);
    headers.extend(kept);
    headers
}

/// The headers as Celery's clients send them for a task without options.
fn default_headers(id: &str, arguments: Option<&Arguments>) -> Object {
    let reprs = arguments.map(|read| (python::args(&read.args), python::kwargs(&read.kwargs)));
    let (args, kwargs) = reprs.unzip();
    let headers = [
        ("lang", Json::from("py")),
        ("task", Json::Null),
        ("id", Json::Null),
        ("shadow", Json::Null),
        ("eta", Json::Null),
        ("expires", Json::Null),
        ("group", Json::Null),
        ("group_index", Json::Null),
        ("retries", 0.into()),
        ("timelimit", Json::array([Json::Null, Json::Null])),
        ("root_id", id.into()),
        ("parent_id", Json::Null),
        ("argsrepr", args.into()),
        ("kwargsrepr", kwargs.into()),
        ("origin", Json::Null),
        ("ignore_result", Json::Null),
        ("replaced_task_nesting", 0.into()),
        ("stamped_headers", Json::Null),
        ("stamps", Object::new().into()),
    ];
    let headers = headers.into_iter();
    headers
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The properties that are kept: all of usual size, but not how the body of the message was encoded.
pub fn kept_properties(properties: Object) -> Object {
    let mut room = MAX_PROPERTIES;
    let kept = properties.into_iter().filter(|(name, value)| {
        let size = name.len() + value.to_string().len();
        let is_kept = name != "body_encoding" && size <= MAX_PROPERTY.min(room);
        room -= if is_kept { size } else { 0 };
        is_kept
    });
    kept.collect()
}
