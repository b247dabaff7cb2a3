//! The items of Celery's table of results.
//!
//! An item has the [key](Keys) as `id`, this module's JSON as bytes in `result`, and `timestamp`, a number
//! of seconds since the Unix epoch. A chord's counter has the number `chord_count` in place of `result`.
//! A worker never overwrites the result of a task that succeeded.

mod exception;
mod key;
mod read;

pub use exception::{Exception, Revoked};
pub use key::{ItemKind, Keys};
pub use read::{Group, Member, Stored, Unreadable, members, read, read_group};

use super::time;
use crate::json::{Json, Object};

/// What a result says of its task besides the outcome.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// The task's id.
    pub id: &'a str,
    /// The id of the task's group.
    pub group: Option<&'a str>,
    /// The id of the task that sent this one.
    pub parent_id: Option<&'a str>,
    /// The [tuples](task_tuple) of what the task sent.
    pub children: &'a [Json],
    /// What `result_extended` adds.
    pub extended: Option<Extended<'a>>,
}

/// What a result has besides with the setting `result_extended`.
#[derive(Debug, Clone)]
pub struct Extended<'a> {
    /// The task's name.
    pub name: &'a str,
    /// The positional arguments.
    pub args: &'a [Json],
    /// The keyword arguments.
    pub kwargs: &'a Object,
    /// The worker's name.
    pub worker: &'a str,
    /// The number of retries before this attempt.
    pub retries: u32,
    /// The queue that the message came from.
    pub queue: Option<&'a str>,
    /// The names of the task's stamps.
    pub stamped_headers: &'a [String],
    /// The values of the task's stamps.
    pub stamps: &'a Object,
}

/// The state of a task and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// The task runs, with the setting `task_track_started`.
    Started {
        /// The process that runs it.
        pid: u32,
        /// The worker's name.
        hostname: &'a str,
    },
    /// A state of the task's own, such as `PROGRESS`.
    Custom {
        /// The name of the state.
        state: &'a str,
        /// JSON text.
        meta: &'a str,
    },
    /// The attempt failed and another follows.
    Retry(&'a Exception, Option<&'a str>),
    /// The task returned this value: JSON text.
    Success(&'a str),
    /// The task failed, with the traceback, if there is one.
    Failure(&'a Exception, Option<&'a str>),
    /// The task was not run, or not to its end.
    Revoked(Revoked),
}

impl Outcome<'_> {
    /// Celery's name of the state.
    pub fn state(&self) -> &str {
        match self {
            Outcome::Started { .. } => "STARTED",
            Outcome::Custom { state, .. } => state,
            Outcome::Retry(..) => "RETRY",
            Outcome::Success(_) => "SUCCESS",
            Outcome::Failure(..) => "FAILURE",
            Outcome::Revoked(_) => "REVOKED",
        }
    }

    /// Whether the task has ended.
    pub fn is_end(&self) -> bool {
        matches!(
            self,
            Outcome::Success(_) | Outcome::Failure(..) | Outcome::Revoked(_)
        )
    }

    /// The value under `result`, as JSON text.
    fn result(&self) -> String {
        match self {
            Outcome::Started { pid, hostname } => {
                Json::object([("pid", Json::from(*pid)), ("hostname", (*hostname).into())])
                    .to_string()
            }
            Outcome::Custom { meta, .. } => (*meta).to_owned(),
            Outcome::Success(value) => (*value).to_owned(),
            Outcome::Retry(exception, _) | Outcome::Failure(exception, _) => {
                exception.to_json().to_string()
            }
            Outcome::Revoked(why) => Exception::revoked(*why).to_json().to_string(),
        }
    }

    fn traceback(&self) -> Option<&str> {
        match self {
            Outcome::Retry(_, traceback) | Outcome::Failure(_, traceback) => *traceback,
            _ => None,
        }
    }
}

/// The JSON of a task's result, with Celery's members in Celery's order. `now` is the time of the end in
/// milliseconds since the Unix epoch.
pub fn task_result(facts: &Facts, outcome: &Outcome, now: u64) -> String {
    let done = outcome.is_end().then(|| time::format(now)).flatten();
    let mut meta = Writer::default();
    meta.put("status", outcome.state());
    // The value is text already: a task's value may be large.
    meta.put_text("result", &outcome.result());
    meta.put("traceback", outcome.traceback());
    meta.put("children", facts.children.to_vec());
    meta.put("date_done", done);
    for (name, id) in [("group_id", facts.group), ("parent_id", facts.parent_id)] {
        if let Some(id) = id {
            meta.put(name, id);
        }
    }
    if let Some(extended) = &facts.extended {
        meta.put_extended(extended);
    }
    meta.put("task_id", facts.id);
    meta.end()
}

/// The JSON of a group's item: the group's id and the [tuples](task_tuple) of its members, in order.
pub fn group_result(id: &str, members: &[Json]) -> String {
    let tuple = group_tuple(id, None, members);
    Json::object([("result", tuple)]).to_string()
}

/// A task in a list of children or members: `[[id, parent], null]`, where `parent` is the tuple of the
/// task before it.
pub fn task_tuple(id: &str, parent: Option<Json>) -> Json {
    let head = Json::array([Json::from(id), parent.into()]);
    Json::array([head, Json::Null])
}

/// A group in a list of children or members: `[[id, parent], members]`, as [`task_tuple`].
pub fn group_tuple(id: &str, parent: Option<Json>, members: &[Json]) -> Json {
    let head = Json::array([Json::from(id), parent.into()]);
    Json::array([head, members.to_vec().into()])
}

/// Writes an object member by member.
#[derive(Default)]
struct Writer {
    out: String,
}

impl Writer {
    fn put(&mut self, name: &str, value: impl Into<Json>) {
        let value: Json = value.into();
        self.put_text(name, &value.to_string());
    }

    fn put_text(&mut self, name: &str, value: &str) {
        let before = if self.out.is_empty() { "{" } else { "," };
        let name = Json::from(name).to_string();
        self.out.extend([before, &name, ":", value]);
    }

    fn put_extended(&mut self, extended: &Extended) {
        self.put("name", extended.name);
        self.put("args", extended.args.to_vec());
        self.put("kwargs", extended.kwargs.clone());
        self.put("worker", extended.worker);
        self.put("retries", extended.retries);
        self.put("queue", extended.queue);
        if !extended.stamps.is_empty() {
            let names = extended.stamped_headers;
            self.put("stamped_headers", Json::array(names.iter().cloned()));
            let stamps = extended.stamps.iter();
            for (name, value) in stamps.filter(|(name, _)| names.contains(name)) {
                self.put(name, value.clone());
            }
        }
    }

    fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

#[cfg(test)]
mod tests;
