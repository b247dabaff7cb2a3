//! The headers of a message: what it says about its task.

use super::time;
use crate::json::{Json, Object};

/// The longest id, of a task, group or chord, in bytes.
pub const MAX_ID: usize = 255;
/// The longest name of a task, in bytes.
const MAX_NAME: usize = 255;
/// The headers that [`Headers`] has as fields, and those that say nothing to a worker.
const KNOWN: [&str; 20] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
    "compression",
];

/// What a message says about its task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    /// The name under which the task is registered.
    pub task: String,
    /// The task's id: any text of 1 to [`MAX_ID`] bytes.
    pub id: String,
    /// The name to show in place of the task's.
    pub shadow: Option<String>,
    /// The earliest start, in milliseconds since the Unix epoch.
    pub eta: Option<u64>,
    /// The latest start, in milliseconds since the Unix epoch.
    pub expires: Option<u64>,
    /// The id of the group or chord that the task is a member of.
    pub group: Option<String>,
    /// The task's place in its group, from 0.
    pub group_index: Option<u64>,
    /// The number of retries so far.
    pub retries: u32,
    /// The hard time limit in seconds.
    pub time_limit: Option<f64>,
    /// The soft time limit in seconds.
    pub soft_time_limit: Option<f64>,
    /// The id of the first task of the workflow.
    pub root_id: Option<String>,
    /// The id of the task that sent this one.
    pub parent_id: Option<String>,
    /// Whether no result is stored; `None` leaves it to the worker.
    pub ignore_result: Option<bool>,
    /// How often the task was replaced by another.
    pub replaced_task_nesting: u32,
    /// The names of the stamps that the tasks inherit which this task sends.
    pub stamped_headers: Vec<String>,
    /// The values of the stamps.
    pub stamps: Object,
    /// The headers that Celery does not know: those of `apply_async(headers=…)`.
    pub custom: Object,
}

/// Whether a text can be the id of a task.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID
}

type Checked<T> = Result<T, &'static str>;

pub(super) fn of_protocol_2(headers: &Object) -> Checked<Headers> {
    let custom = headers.iter();
    let custom = custom.filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let custom = custom.map(|(name, value)| (name.clone(), value.clone()));
    Ok(Headers {
        custom: custom.collect(),
        root_id: id(headers, "root_id", "root_id is not an id")?,
        parent_id: id(headers, "parent_id", "parent_id is not an id")?,
        ignore_result: match headers.get("ignore_result") {
            None | Some(Json::Null) => None,
            Some(Json::Bool(value)) => Some(*value),
            Some(_) => return Err("ignore_result is not a truth value"),
        },
        replaced_task_nesting: count(headers, "replaced_task_nesting")
            .ok_or("replaced_task_nesting is not a count")?,
        stamped_headers: stamped(headers.get("stamped_headers"))
            .ok_or("stamped_headers is not a list of names")?,
        stamps: match headers.get("stamps") {
            None | Some(Json::Null) => Object::new(),
            Some(Json::Object(stamps)) => stamps.clone(),
            Some(_) => return Err("stamps is not an object"),
        },
        ..of_protocol_1(headers)?
    })
}

/// The headers that both protocols have. In protocol 1, `headers` is the body.
pub(super) fn of_protocol_1(headers: &Object) -> Checked<Headers> {
    let text = |name| headers.get(name).and_then(Json::as_str);
    let task = text("task").filter(|name| !name.is_empty() && name.len() <= MAX_NAME);
    let task_id = text("id").filter(|id| is_id(id));
    let [time_limit, soft_time_limit] =
        limits(headers.get("timelimit")).ok_or("timelimit is not a pair of seconds")?;
    let index = headers.get("group_index").filter(|value| !value.is_null());
    let index = index.map(|index| index.as_int().and_then(|index| index.as_u64()));
    Ok(Headers {
        task: task
            .ok_or("the task's name is missing or too long")?
            .to_owned(),
        id: task_id
            .ok_or("the id is missing, empty or longer than 255 bytes")?
            .to_owned(),
        shadow: text("shadow").map(str::to_owned),
        eta: instant(headers, "eta").ok_or("eta is not a time")?,
        expires: instant(headers, "expires").ok_or("expires is not a time")?,
        group: id(headers, "group", "group is not an id")?,
        group_index: match index {
            None => None,
            Some(index) => Some(index.ok_or("group_index is not an index")?),
        },
        retries: count(headers, "retries").ok_or("retries is not a count")?,
        time_limit,
        soft_time_limit,
        ..Headers::default()
    })
}

/// An id that may be missing; an empty one is as good as none.
fn id(headers: &Object, name: &str, wrong: &'static str) -> Checked<Option<String>> {
    match headers.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(id)) if id.is_empty() => Ok(None),
        Some(Json::String(id)) if is_id(id) => Ok(Some(id.clone())),
        Some(_) => Err(wrong),
    }
}

/// A time that may be missing. The outer `None` is for what is not a time.
fn instant(headers: &Object, name: &str) -> Option<Option<u64>> {
    match headers.get(name) {
        None | Some(Json::Null) => Some(None),
        Some(Json::String(text)) => time::parse(text).map(Some),
        Some(_) => None,
    }
}

fn count(headers: &Object, name: &str) -> Option<u32> {
    match headers.get(name) {
        None | Some(Json::Null) => Some(0),
        Some(value) => u32::try_from(value.as_i64()?).ok(),
    }
}

/// The pair of time limits, the hard one first.
fn limits(value: Option<&Json>) -> Option<[Option<f64>; 2]> {
    let limits = match value {
        None | Some(Json::Null) => return Some([None, None]),
        Some(value) => <&[Json; 2]>::try_from(value.as_array()?).ok()?,
    };
    let is_limit = |seconds: &f64| seconds.is_finite() && *seconds >= 0.0;
    let seconds = |value: &Json| match value {
        Json::Null => Some(None),
        value => value.as_f64().filter(is_limit).map(Some),
    };
    Some([seconds(&limits[0])?, seconds(&limits[1])?])
}

fn stamped(value: Option<&Json>) -> Option<Vec<String>> {
    match value {
        None | Some(Json::Null) => Some(Vec::new()),
        Some(value) => {
            let names = value.as_array()?.iter();
            names.map(|name| name.as_str().map(str::to_owned)).collect()
        }
    }
}
