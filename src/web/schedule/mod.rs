//! The routes of schedules: reads definitions and versions, and shows schedules.

mod celery;
mod definition;
mod schema;
mod view;

pub use definition::{Edit, NewSchedule};
pub use schema::{CelerySchema, NewScheduleSchema, PatchSchema};
pub use view::{ScheduleTimes, ScheduleView};

use http::StatusCode;
use http::header::{ETAG, IF_MATCH};
use lambda_http::{Body, Request, Response};
use percent_encoding::utf8_percent_encode;

use super::answer::{self, ResponseExt};
use super::checks::{Checked, pydantic};
use super::cursor::Cursor;
use super::error::HttpError;
use super::extract::Extract;
use super::page::foreign_cursor;
use super::task_view::NOT_IN_IDS;
use crate::clock::now_ms;
use crate::schedules::Schedule;
use crate::schedules::client::ScheduleError;
use crate::schedules::rule::RuleError;
use crate::tasks::state::State;
use crate::tasks::viewer::Viewer;

/// The most schedules of one page. A larger `limit` gives this number of schedules and a link to the next
/// page.
const MAX_LIMIT: i64 = 100;

/// The name of a schedule in the path of a request.
pub fn schedule_name(request: &Request) -> &str {
    request.path_text("name")
}

/// The page of a list of schedules: `?limit=&cursor=`, as the most schedules and the name after which the
/// page begins.
///
/// # Errors
/// For a limit that is not an integer, and a cursor that is not of this list.
pub fn schedule_page(request: &Request, cursors: &Cursor) -> Checked<(usize, Option<String>)> {
    let limit = request.query_int("limit", 10)?;
    let most = if limit.is_negative() { 1 } else { MAX_LIMIT };
    let limit = limit.as_i64().unwrap_or(most).clamp(1, MAX_LIMIT);
    let after = match request.query_text("cursor") {
        None => None,
        Some(text) => Some(
            cursors
                .open_text(text)
                .ok_or_else(|| foreign_cursor(text))?,
        ),
    };
    Ok((usize::try_from(limit).unwrap_or(1), after))
}

/// An action on a schedule, in the path of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Claims no more times.
    Pause,
    /// Goes on with the first time that is after now.
    Resume,
    /// Submits a task at once.
    Run,
}

/// The actions as the OpenAPI document shows them.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = ScheduleAction, rename_all = "snake_case")]
pub enum ActionSchema {
    /// See [`Action::Pause`].
    Pause,
    /// See [`Action::Resume`].
    Resume,
    /// See [`Action::Run`].
    Run,
}

/// The action in the path of a request, `{action}`.
///
/// # Errors
/// For a text that is no action.
pub fn action(request: &Request) -> Checked<Action> {
    match request.path_text("action") {
        "pause" => Ok(Action::Pause),
        "resume" => Ok(Action::Resume),
        "run" => Ok(Action::Run),
        other => {
            let loc = ["path".into(), "action".into()];
            let names = ["pause", "resume", "run"];
            Err(pydantic::enumeration(loc, &names, other.into()).into())
        }
    }
}

/// The version that a request is about, by its `If-Match` header. `None` without the header, and for `*`.
///
/// # Errors
/// 412 for a tag that is none of this service.
pub fn version(request: &Request) -> Result<Option<u64>, HttpError> {
    let Some(tag) = request.header(IF_MATCH) else {
        return Ok(None);
    };
    let tag = tag.trim();
    if tag == "*" {
        return Ok(None);
    }
    let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let version = number.and_then(|number| number.parse().ok());
    let foreign = || {
        let detail = "The version in If-Match is none of this schedule";
        HttpError::new(StatusCode::PRECONDITION_FAILED, detail)
    };
    version.map(Some).ok_or_else(foreign)
}

/// A schedule, with its version as `ETag`.
pub fn answer(status: StatusCode, schedule: Schedule) -> Response<Body> {
    tagged(status, schedule, None)
}

/// As [`answer()`], with the state of the schedule's last task.
pub fn answer_with_state(schedule: Schedule, state: Option<State>) -> Response<Body> {
    tagged(StatusCode::OK, schedule, state)
}

fn tagged(status: StatusCode, schedule: Schedule, state: Option<State>) -> Response<Body> {
    let tag = format!("\"{}\"", schedule.version);
    let view = ScheduleView::new(schedule, now_ms()).with_state(state);
    answer::json(status, &view).with_text(ETAG, &tag)
}

/// Refuses a schedule of a Celery task by a caller who sees only own tasks: a task of Celery belongs to no
/// caller, and any task may be sent to any queue.
///
/// # Errors
/// 403 for such a caller.
pub fn of_celery(request: &Request) -> Result<(), HttpError> {
    match request.viewer() {
        Viewer::Everyone => Ok(()),
        Viewer::Caller(_) => {
            let detail = "A schedule of a Celery task needs the scope admin";
            Err(HttpError::new(StatusCode::FORBIDDEN, detail))
        }
    }
}

/// 422: the rule of this schedule has no time after now.
pub fn no_time(schedule: &Schedule) -> HttpError {
    let reason = "there is no such time after now";
    let given = schedule.definition.rule.to_json();
    HttpError::invalid(vec![pydantic::value(
        ["body".into(), "rule".into()],
        reason,
        given,
    )])
}

/// The error of a rule.
pub fn wrong_rule(error: RuleError) -> HttpError {
    ScheduleError::from(error).into()
}

/// The path of a schedule.
pub fn schedule_path(request: &Request, name: &str) -> String {
    let name = utf8_percent_encode(name, NOT_IN_IDS);
    format!("{}/schedules/{name}", request.prefix())
}
