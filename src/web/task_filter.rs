//! Reads the filter of tasks from a query, and from the body of a request for many tasks.

use lambda_http::Request;
use utoipa::{IntoParams, ToSchema};

use super::checks::{Checked, Rejection, pydantic};
use super::error::Loc;
use super::extract::Extract;
use super::submission::options;
use super::submission::{Found, keep};
use super::task_view::TaskState;
use crate::json::{Json, Object};
use crate::tasks::state::State;
use crate::tasks::store::TaskFilter;

/// The names of the fields of a filter in a body.
const NAMES: [&str; 8] = [
    "state",
    "job",
    "job_prefix",
    "caller",
    "schedule",
    "created_after",
    "created_before",
    "error",
];

/// Which tasks are listed: those that fit all given parameters.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterParams {
    /// Only tasks in this state.
    pub state: Option<TaskState>,
    /// Only tasks of this job.
    pub job: Option<String>,
    /// Only tasks of jobs whose names begin with this text.
    pub job_prefix: Option<String>,
    /// Only tasks that this caller submitted.
    pub caller: Option<String>,
    /// Only tasks of the schedule with this name.
    pub schedule: Option<String>,
    /// Only tasks that were accepted at this time or later.
    #[param(format = DateTime)]
    pub created_after: Option<String>,
    /// Only tasks that were accepted before this time.
    #[param(format = DateTime)]
    pub created_before: Option<String>,
    /// Only tasks whose last attempt failed with an error of this type, such as `WorkerLost`. Without
    /// `state`, only failed tasks.
    pub error: Option<String>,
    /// Only tasks whose ids begin with this text. A text with which a UUID can begin, of two characters or
    /// more, finds only UUIDs.
    pub id_prefix: Option<String>,
}

/// Which tasks are meant: those that fit all given fields. At least one field is given.
#[derive(Debug, ToSchema)]
#[schema(as = TaskFilter, example = json!({"job": "process_data", "error": "WorkerLost"}))]
pub struct FilterSchema {
    /// Tasks in this state.
    #[schema(required = false)]
    pub state: Option<TaskState>,
    /// Tasks of this job.
    #[schema(min_length = 1)]
    pub job: Option<String>,
    /// Tasks of jobs whose names begin with this text.
    #[schema(min_length = 1)]
    pub job_prefix: Option<String>,
    /// Tasks that this caller submitted.
    #[schema(min_length = 1)]
    pub caller: Option<String>,
    /// Tasks of the schedule with this name.
    #[schema(min_length = 1)]
    pub schedule: Option<String>,
    /// Tasks that were accepted at this time or later.
    #[schema(format = DateTime)]
    pub created_after: Option<String>,
    /// Tasks that were accepted before this time.
    #[schema(format = DateTime)]
    pub created_before: Option<String>,
    /// Tasks whose last attempt failed with an error of this type. Without `state`, only failed tasks.
    #[schema(min_length = 1)]
    pub error: Option<String>,
}

/// The filter in a query: `?state=&job=&job_prefix=&caller=&schedule=&created_after=&created_before=&error=&id_prefix=`.
///
/// # Errors
/// For an unknown state, and for a time that is none.
pub fn from_query(request: &Request) -> Checked<TaskFilter> {
    let mut errors = Vec::new();
    let given = |name: &str| request.query_text(name).filter(|text| !text.is_empty());
    let loc = |name: &str| ["query".into(), name.into()];
    let time = |name: &str| {
        let text = given(name).map(Json::from);
        options::time(text.as_ref(), loc(name))
    };
    // An empty state is no state's name, and so is an error; other empty texts are as absent ones.
    let state = request.query_text("state").map(Json::from);
    let state = keep(
        &mut errors,
        state_of(state.as_ref(), loc("state"), &State::ALL),
    );
    let after = keep(&mut errors, time("created_after"));
    let before = keep(&mut errors, time("created_before"));
    let text = |name: &str| given(name).map(str::to_owned);
    match (state, after, before) {
        (Some(state), Some(created_after), Some(created_before)) => Ok(TaskFilter {
            state,
            job: request.query_text("job").map(str::to_owned),
            job_prefix: text("job_prefix"),
            caller: text("caller"),
            schedule: text("schedule"),
            created_after,
            created_before,
            error: text("error"),
            id_prefix: text("id_prefix"),
        }),
        _ => Err(Rejection::Fields(errors)),
    }
}

/// The member `filter` of a body, for tasks in one of `states`.
pub(super) fn from_body(body: &Object, states: &[State]) -> Found<TaskFilter> {
    let loc = || vec![Loc::from("body"), "filter".into()];
    let given = match body.get("filter") {
        None => return Err(vec![pydantic::missing(loc(), Json::Object(body.clone()))]),
        Some(Json::Object(filter)) => filter,
        Some(other) => return Err(vec![pydantic::model(loc(), other.clone())]),
    };
    let at = |name: &str| [Loc::from("body"), "filter".into(), name.into()];
    let value = |name: &str| given.get(name).filter(|value| !value.is_null());
    let mut errors = Vec::new();
    let mut text = |name: &str| keep(&mut errors, text_of(value(name), at(name))).flatten();
    let mut filter = TaskFilter {
        job: text("job"),
        job_prefix: text("job_prefix"),
        caller: text("caller"),
        schedule: text("schedule"),
        error: text("error"),
        ..TaskFilter::default()
    };
    let state = state_of(value("state"), at("state"), states);
    filter.state = keep(&mut errors, state).flatten();
    let mut time = |name: &str| keep(&mut errors, options::time(value(name), at(name))).flatten();
    filter.created_after = time("created_after");
    filter.created_before = time("created_before");
    let unknown = given
        .iter()
        .filter(|(name, _)| !NAMES.contains(&name.as_str()));
    errors.extend(unknown.map(|(name, value)| pydantic::extra(at(name), value.clone())));
    if errors.is_empty() && filter.is_empty() {
        let reason = "the filter needs at least one field";
        errors.push(pydantic::value(loc(), reason, Json::Object(given.clone())));
    }
    match errors.is_empty() {
        true => Ok(filter),
        false => Err(errors),
    }
}

/// The name of one of `states`.
fn state_of(
    given: Option<&Json>,
    loc: impl IntoIterator<Item = Loc>,
    states: &[State],
) -> Found<Option<State>> {
    let Some(value) = given else { return Ok(None) };
    let known = value.as_str().and_then(State::from_name);
    match known.filter(|state| states.contains(state)) {
        Some(state) => Ok(Some(state)),
        None => {
            let names: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            Err(vec![pydantic::literal(loc, &names, value.clone())])
        }
    }
}

/// A text that is not empty.
fn text_of(given: Option<&Json>, loc: impl IntoIterator<Item = Loc>) -> Found<Option<String>> {
    let Some(value) = given else { return Ok(None) };
    match value.as_str() {
        Some("") => Err(vec![pydantic::short_string(loc, 1, value.clone())]),
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(vec![pydantic::string(loc, value.clone())]),
    }
}
