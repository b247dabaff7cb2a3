//! Reads the items that other workers and clients wrote.

use super::Exception;
use crate::celery::compression::{DecompressError, decompress};
use crate::celery::time;
use crate::json::{Json, Object, parse_lossy};

/// Stands before a compressed result, and before the name of its compression.
const COMPRESSED: &[u8] = b"\0celery-compressed\0";

/// Why bytes are not a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The compression cannot be undone.
    #[error(transparent)]
    Compressed(#[from] DecompressError),
    /// The bytes are not the JSON of a result.
    #[error("the bytes are not a result of Celery")]
    NotAResult,
}

/// A result of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Celery's name of the state.
    pub status: String,
    /// The value, or what belongs to the state.
    pub result: Json,
    /// The traceback of a failure.
    pub traceback: Option<String>,
    /// When the task ended, in milliseconds since the Unix epoch.
    pub date_done: Option<u64>,
}

/// A group, as its client or a chord saved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The group's id.
    pub id: String,
    /// Its members, in order.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A task, by its id.
    Task(String),
    /// A group, such as the body of a chord that is a member.
    Group(Vec<Member>),
}

impl Member {
    /// The ids of the tasks of members, in order.
    pub fn tasks(members: &[Member]) -> Vec<String> {
        let tasks = members.iter().flat_map(|member| match member {
            Member::Task(id) => vec![id.clone()],
            Member::Group(members) => Member::tasks(members),
        });
        tasks.collect()
    }

    /// The values of the tasks of members as a list for each group. `values` are in the order of
    /// [`Member::tasks`].
    pub fn arrange(members: &[Member], values: &mut impl Iterator<Item = Json>) -> Vec<Json> {
        let mut all = Vec::with_capacity(members.len());
        for member in members {
            all.push(match member {
                Member::Task(_) => values.next().unwrap_or_default(),
                Member::Group(members) => Member::arrange(members, &mut *values).into(),
            });
        }
        all
    }
}

impl Stored {
    /// What stands for a result that no worker of Celery stores as JSON.
    pub fn unreadable() -> Stored {
        Stored {
            status: "FAILURE".to_owned(),
            result: Json::Null,
            traceback: None,
            date_done: None,
        }
    }

    /// Whether the task has ended.
    pub fn is_end(&self) -> bool {
        matches!(&*self.status, "SUCCESS" | "FAILURE" | "REVOKED")
    }

    /// The exception of a task that failed, is retried or was revoked.
    pub fn exception(&self) -> Option<Exception> {
        let has_failed = matches!(&*self.status, "FAILURE" | "REVOKED" | "RETRY");
        let unreadable = || Exception::of_error("", "RuntimeError", "the result is unreadable");
        let found = |result: &Json| Exception::from_json(result.as_object()?);
        has_failed.then(|| found(&self.result).unwrap_or_else(unreadable))
    }
}

/// Reads the bytes of a task's result, compressed or not. Halves of surrogate pairs in texts become
/// U+FFFD.
///
/// # Errors
/// For bytes that no worker of Celery stores as JSON.
pub fn read(bytes: &[u8]) -> Result<Stored, Unreadable> {
    let mut meta = object(bytes)?;
    let text = |name| meta.get(name).and_then(Json::as_str).map(str::to_owned);
    let status = text("status").ok_or(Unreadable::NotAResult)?;
    let traceback = text("traceback");
    let date_done = text("date_done").and_then(|done| time::parse(&done));
    Ok(Stored {
        status,
        traceback,
        date_done,
        result: meta.remove("result").ok_or(Unreadable::NotAResult)?,
    })
}

/// Reads the bytes of a group's item, compressed or not.
///
/// # Errors
/// For bytes that are not the JSON of a group.
pub fn read_group(bytes: &[u8]) -> Result<Group, Unreadable> {
    let meta = object(bytes)?;
    let tuple = meta.get("result").and_then(Json::as_array);
    let group = tuple.and_then(|tuple| match tuple {
        [head, Json::Array(members)] => Some(Group {
            id: id(head)?.to_owned(),
            members: self::members(members)?,
        }),
        _ => None,
    });
    group.ok_or(Unreadable::NotAResult)
}

/// The members of tuples, as of a group. The argument `result` of `celery.chord_unlock`, which clients
/// before 5.4 send, is such a list too. `None` for what is no list of tuples.
pub fn members(tuples: &[Json]) -> Option<Vec<Member>> {
    tuples.iter().map(member).collect()
}

/// A member: `[[id, parent], members]`.
fn member(tuple: &Json) -> Option<Member> {
    let tuple = tuple.as_array()?;
    let id = id(tuple.first()?)?;
    Some(match tuple.get(1) {
        Some(Json::Array(tuples)) => Member::Group(members(tuples)?),
        _ => Member::Task(id.to_owned()),
    })
}

fn id(head: &Json) -> Option<&str> {
    head.as_array()?.first()?.as_str()
}

fn object(bytes: &[u8]) -> Result<Object, Unreadable> {
    let unpacked;
    let mut json = bytes;
    if let Some(packed) = bytes.strip_prefix(COMPRESSED) {
        let end = packed.iter().position(|byte| *byte == 0);
        let (name, packed) = packed.split_at(end.ok_or(Unreadable::NotAResult)?);
        let name = std::str::from_utf8(name).map_err(|_| Unreadable::NotAResult)?;
        unpacked = decompress(name, &packed[1..])?;
        json = &unpacked;
    }
    let (value, _) = parse_lossy(json).map_err(|_| Unreadable::NotAResult)?;
    value.into_object().map_err(|_| Unreadable::NotAResult)
}
