//! `POST /tasks/cancel` and `POST /tasks/retry`: reads an action on many tasks, and shows its numbers.

use lambda_http::Request;
use serde::Serialize;
use utoipa::ToSchema;

use super::checks::{Checked, Rejection, pydantic};
use super::cursor::Cursor;
use super::error::{FieldError, HttpError, Loc};
use super::extract::Extract;
use super::submission::{Found, keep, options};
use super::task_filter::{self, FilterSchema};
use crate::json::{Json, Object};
use crate::tasks::client::{Bulk, BulkAction, Step};
use crate::tasks::store::TaskPosition;

/// The default of `limit`, and the most.
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1_000;

/// The names of the members of a body.
const NAMES: [&str; 5] = ["filter", "dry_run", "limit", "cursor", "background"];

/// Which tasks are changed, and how.
#[derive(Debug, ToSchema)]
#[schema(as = TasksChange, example = json!({"filter": {"job": "process_data", "error": "WorkerLost"}, "dry_run": true}))]
pub struct BulkSchema {
    /// Which tasks are meant.
    pub filter: FilterSchema,
    /// Whether the tasks are only counted.
    #[schema(required = false, default = false)]
    pub dry_run: bool,
    /// The most tasks of one request. A background task has no limit.
    #[schema(required = false, minimum = 1, maximum = 1000, default = 100)]
    pub limit: i64,
    /// The cursor of the answer to the request before, to go on.
    pub cursor: Option<String>,
    /// Whether a task does it for all tasks that fit, however many there are.
    #[schema(required = false, default = false)]
    pub background: bool,
}

/// The numbers of tasks of one request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TasksChanged, example = json!({"dry_run": false, "matched": 3, "changed": 2, "refused": 1, "cursor": null}))]
pub struct BulkView {
    /// Whether the tasks were only counted.
    dry_run: bool,
    /// Tasks that fit the filter, and whose state allows the change.
    matched: u64,
    /// Tasks that were changed.
    changed: u64,
    /// Tasks that fit and were not changed: another request changed them first, a retry does not know their
    /// input, what their end sets off is not done, or the change failed.
    refused: u64,
    /// Not null if there may be more tasks: the same request with this cursor goes on.
    cursor: Option<String>,
}

/// An action on many tasks.
#[derive(Debug)]
pub struct BulkRequest {
    /// The action.
    pub bulk: Bulk,
    /// The most tasks of this request.
    pub limit: usize,
    /// The position behind which this request begins.
    pub after: Option<TaskPosition>,
    /// Whether a task performs the action.
    pub background: bool,
}

impl BulkRequest {
    /// Reads the body of a request at the time `now`, in milliseconds since the Unix epoch. A request with a
    /// cursor belongs to the action that began with the first request.
    ///
    /// # Errors
    /// For a filter without a field, a member of another name, and a cursor of another request.
    pub fn read(request: &Request, action: BulkAction, now: u64) -> Checked<BulkRequest> {
        request.body_as(|body| BulkRequest::check(body, action, now))
    }

    fn check(body: Json, action: BulkAction, now: u64) -> Checked<BulkRequest> {
        let body = body.into_object();
        let body = body.map_err(|other| pydantic::model(["body".into()], other))?;
        let mut errors = Vec::new();
        let filter = keep(&mut errors, task_filter::from_body(&body, action.states()));
        let dry_run = keep(&mut errors, flag(&body, "dry_run"));
        let limit = options::whole(value(&body, "limit"), loc("limit"), 1, MAX_LIMIT);
        let limit = keep(&mut errors, limit).flatten().unwrap_or(DEFAULT_LIMIT);
        let background = keep(&mut errors, flag(&body, "background"));
        let unknown = body
            .iter()
            .filter(|(name, _)| !NAMES.contains(&name.as_str()));
        errors.extend(unknown.map(|(name, value)| pydantic::extra(loc(name), value.clone())));
        let (Some(filter), Some(dry_run), Some(background)) = (filter, dry_run, background) else {
            return Err(Rejection::Fields(errors));
        };
        let mut bulk = Bulk {
            action,
            filter,
            dry_run,
            began: now,
        };
        let begun = keep(&mut errors, begun(&body, &bulk)).flatten();
        if !errors.is_empty() {
            return Err(Rejection::Fields(errors));
        }
        let (began, after) = begun.unzip();
        bulk.began = began.unwrap_or(now);
        Ok(BulkRequest {
            bulk,
            limit: limit.try_into().unwrap_or(1),
            after,
            background,
        })
    }
}

impl BulkView {
    /// The answer to one step of an action.
    pub fn new(bulk: &Bulk, step: Step) -> BulkView {
        let sealed =
            |TaskPosition(position)| cursors(bulk).seal_text(&format!("{} {position}", bulk.began));
        BulkView {
            dry_run: bulk.dry_run,
            matched: step.counts.matched,
            changed: step.counts.changed,
            refused: step.counts.refused,
            cursor: step.next.map(sealed),
        }
    }
}

/// The action in the last segment of a request's path.
pub fn bulk_action(request: &Request) -> BulkAction {
    let path = request.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.ends_with("/retry") {
        true => BulkAction::Retry,
        false => BulkAction::Cancel,
    }
}

/// The error of a request that no task can be made of.
pub fn unsealed(error: serde_json::Error) -> HttpError {
    HttpError::internal().because(error)
}

/// The cursors of one action: not good for another action or filter. A cursor is when the action began, and
/// the position of the last task.
fn cursors(bulk: &Bulk) -> Cursor {
    let begun = Bulk {
        began: 0,
        ..bulk.clone()
    };
    Cursor::of(&serde_json::to_string(&begun).unwrap_or_default())
}

/// The member `cursor`: when the action began, and where this request begins.
fn begun(body: &Object, bulk: &Bulk) -> Found<Option<(u64, TaskPosition)>> {
    let Some(given) = value(body, "cursor") else {
        return Ok(None);
    };
    let Some(cursor) = given.as_str() else {
        return Err(vec![pydantic::string(loc("cursor"), given.clone())]);
    };
    let opened = cursors(bulk).open_text(cursor);
    let read = |text: String| {
        let (began, position) = text.split_once(' ')?;
        Some((began.parse().ok()?, TaskPosition::parse(position)?))
    };
    let found = opened.and_then(read);
    let foreign = || {
        let msg = "Input should be a cursor from the answer to the same request";
        let error = FieldError::new("value_error", loc("cursor"), msg, given.clone());
        vec![error]
    };
    found.map(Some).ok_or_else(foreign)
}

fn flag(body: &Object, name: &str) -> Found<bool> {
    let Some(given) = value(body, name) else {
        return Ok(false);
    };
    let wrong = || vec![pydantic::boolean(loc(name), given.clone())];
    given.as_bool().ok_or_else(wrong)
}

/// A member that is neither absent nor null.
fn value<'a>(body: &'a Object, name: &str) -> Option<&'a Json> {
    body.get(name).filter(|value| !value.is_null())
}

fn loc(name: &str) -> [Loc; 2] {
    ["body".into(), name.into()]
}

#[cfg(test)]
mod tests;
