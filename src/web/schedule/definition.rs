//! Reads the definition of a schedule from a body.

use lambda_http::Request;

use super::celery;
use super::view::members;
use crate::json::{Json, Object};
use crate::schedules::rule::{DEFAULT_TIMEZONE, RuleError, Spec};
use crate::schedules::{Definition, JobOptions, JobWork, Missed, Overlap, Schedule, Work};
use crate::tasks::task::MAX_WAIT;
use crate::web::checks::{Checked, Rejection, pydantic};
use crate::web::error::{FieldError, HttpError, Loc};
use crate::web::extract::Extract;
use crate::web::submission::options::{
    given, limit, loc as option, priority, retries, time, time_limit, unknown, whole,
};
use crate::web::submission::{Found, Jobs, input, job, keep};

/// The longest name of a schedule, in characters.
const MAX_NAME: usize = 128;
/// The most runs that a schedule may be limited to.
const MAX_RUNS: i64 = 1_000_000_000_000;

/// The members of a definition.
const MEMBERS: [&str; 11] = [
    "job", "input", "options", "celery", "rule", "timezone", "start", "end", "max_runs", "missed",
    "overlap",
];
/// The options of the tasks of a job.
const OPTIONS: [&str; 4] = ["expires", "max_retries", "priority", "time_limit"];

/// A schedule to be created.
#[derive(Debug)]
pub struct NewSchedule {
    /// The name.
    pub name: String,
    /// The definition.
    pub definition: Definition,
    /// Whether the schedule begins as paused.
    pub paused: bool,
}

/// A change of a schedule.
#[derive(Debug)]
pub struct Edit {
    /// The body.
    body: Object,
    /// The version of the schedule that the change is of.
    pub version: Option<u64>,
    /// Whether members that are absent from the body stay as they are.
    is_partial: bool,
}

impl NewSchedule {
    /// Reads a new schedule.
    ///
    /// # Errors
    /// For members of another form.
    pub fn read(request: &Request, jobs: Jobs<'_>) -> Checked<NewSchedule> {
        request.body_as(|body| {
            let body = object(body)?;
            let mut errors = Vec::new();
            let name = keep(&mut errors, name(&body));
            let definition = keep(&mut errors, definition(&body, jobs));
            let paused = keep(&mut errors, flag(&body, "paused"));
            errors.extend(extra(&body, &["name", "paused"]));
            match (name, definition, paused) {
                (Some(name), Some(definition), Some(paused)) if errors.is_empty() => {
                    Ok(NewSchedule {
                        name,
                        definition,
                        paused: paused.unwrap_or(false),
                    })
                }
                _ => Err(Rejection::Fields(errors)),
            }
        })
    }
}

impl Edit {
    /// Reads a change. With `is_partial`, members that are absent stay.
    ///
    /// # Errors
    /// For a body that is no object, and a version that is no number.
    pub fn read(request: &Request, is_partial: bool) -> Checked<Edit> {
        request.body_as(|body| {
            let body = object(body)?;
            let version = whole(present(&body, "version"), loc("version"), 0, i64::MAX);
            let version = version.map_err(Rejection::Fields)?;
            Ok(Edit {
                version: version.and_then(|version| version.try_into().ok()),
                body,
                is_partial,
            })
        })
    }

    /// Whether the change gives a task of Celery.
    pub fn is_of_celery(&self) -> bool {
        present(&self.body, "celery").is_some()
    }

    /// The definition after the change, and whether the schedule is paused then.
    ///
    /// # Errors
    /// 422 for members of another form.
    pub fn apply(
        &self,
        schedule: &Schedule,
        jobs: Jobs<'_>,
    ) -> Result<(Definition, Option<bool>), HttpError> {
        let body = match self.is_partial {
            true => self.patched(schedule),
            false => self.body.clone(),
        };
        let mut errors = Vec::new();
        let definition = keep(&mut errors, definition(&body, jobs));
        let paused = keep(&mut errors, flag(&body, "paused"));
        if let Some(name) = present(&body, "name")
            && name.as_str() != Some(&schedule.name)
        {
            let reason = "the name of a schedule does not change";
            errors.push(pydantic::value(loc("name"), reason, name.clone()));
        }
        errors.extend(extra(&body, &["name", "paused", "version"]));
        match (definition, paused) {
            (Some(definition), Some(paused)) if errors.is_empty() => {
                let default = if self.is_partial { None } else { Some(false) };
                Ok((definition, paused.or(default)))
            }
            _ => Err(HttpError::invalid(errors)),
        }
    }

    /// The members of the schedule, with those of the body in their place.
    fn patched(&self, schedule: &Schedule) -> Object {
        let mut members = members(&schedule.definition);
        let gives = |name: &str| present(&self.body, name).is_some();
        if gives("celery") {
            for name in ["job", "input", "options"] {
                members.remove(name);
            }
        } else if gives("job") {
            members.remove("celery");
        }
        for (name, value) in &self.body {
            match value {
                Json::Null => drop(members.remove(name)),
                value => drop(members.insert(name.as_str(), value.clone())),
            }
        }
        members
    }
}

fn object(body: Json) -> Checked<Object> {
    let body = body.into_object();
    Ok(body.map_err(|other| pydantic::model(["body".into()], other))?)
}

pub(super) fn loc(name: &str) -> [Loc; 2] {
    ["body".into(), name.into()]
}

/// A member that is not null.
fn present<'b>(body: &'b Object, name: &str) -> Option<&'b Json> {
    body.get(name).filter(|value| !value.is_null())
}

fn extra(body: &Object, others: &[&str]) -> Vec<FieldError> {
    let is_known = |name: &str| MEMBERS.contains(&name) || others.contains(&name);
    let unknown = body.iter().filter(|(name, _)| !is_known(name));
    let errors = unknown.map(|(name, value)| pydantic::extra(loc(name), value.clone()));
    errors.collect()
}

/// The name: text that a path can hold as one segment.
fn name(body: &Object) -> Found<String> {
    let given = match body.get("name") {
        None => return Err(vec![pydantic::missing(loc("name"), body.clone())]),
        Some(Json::String(name)) => name,
        Some(other) => return Err(vec![pydantic::string(loc("name"), other.clone())]),
    };
    let is_long = given.is_empty() || given.chars().count() > MAX_NAME || given.len() > 255;
    let has_other = given.contains(|c: char| c == '/' || c.is_control() || c == '\u{fffd}');
    let is_dots = [".", ".."].contains(&given.as_str());
    if is_long || has_other || is_dots || given.trim() != given {
        let reason = "a name has 1 to 128 characters, without a slash, control characters and spaces at \
                      its ends";
        return Err(vec![pydantic::value(loc("name"), reason, given.as_str())]);
    }
    Ok(given.clone())
}

fn definition(body: &Object, jobs: Jobs<'_>) -> Found<Definition> {
    let mut errors = Vec::new();
    let work = keep(&mut errors, work(body, jobs));
    let rule = keep(&mut errors, rule(body));
    let start = keep(&mut errors, time(present(body, "start"), loc("start")));
    let end = keep(&mut errors, time(present(body, "end"), loc("end")));
    let max_runs = whole(present(body, "max_runs"), loc("max_runs"), 1, MAX_RUNS);
    let max_runs = keep(&mut errors, max_runs).flatten();
    let missed = one_of(
        body,
        "missed",
        &[
            ("one", Missed::One),
            ("none", Missed::None),
            ("all", Missed::All),
        ],
    );
    let missed = keep(&mut errors, missed);
    let overlap = one_of(
        body,
        "overlap",
        &[("allow", Overlap::Allow), ("skip", Overlap::Skip)],
    );
    let overlap = keep(&mut errors, overlap);
    let (start, end) = (start.flatten(), end.flatten());
    if start.is_some_and(|start| end.is_some_and(|end| end < start)) {
        let reason = "the end is before the start";
        let given = body.get("end").cloned().unwrap_or_default();
        errors.push(pydantic::value(loc("end"), reason, given));
    }
    match (work, rule) {
        (Some(work), Some((rule, timezone))) if errors.is_empty() => Ok(Definition {
            work,
            rule,
            timezone,
            start,
            end,
            max_runs: max_runs.and_then(|count| count.try_into().ok()),
            missed: missed.unwrap_or_default(),
            overlap: overlap.unwrap_or_default(),
        }),
        _ => Err(errors),
    }
}

/// A job with its input and options, or a task of Celery.
fn work(body: &Object, jobs: Jobs<'_>) -> Found<Work> {
    let Some(celery) = present(body, "celery") else {
        return job_work(body, jobs).map(Work::Job);
    };
    let of_jobs = ["job", "input", "options"];
    let of_jobs = of_jobs
        .into_iter()
        .find(|name| present(body, name).is_some());
    match of_jobs {
        None => celery::read(celery).map(Work::Celery),
        Some(name) => {
            let reason = "give either a job or a task of Celery";
            let given = body.get(name).cloned().unwrap_or_default();
            Err(vec![pydantic::value(loc(name), reason, given)])
        }
    }
}

fn job_work(body: &Object, jobs: Jobs<'_>) -> Found<JobWork> {
    let mut errors = Vec::new();
    let job = keep(&mut errors, job(body, jobs));
    let known = job.as_ref().and_then(|(_, job)| *job);
    let input = keep(&mut errors, input(body, known));
    let options = keep(&mut errors, options(body));
    match (job, input, options) {
        (Some((job, _)), Some(input), Some(options)) if errors.is_empty() => Ok(JobWork {
            job,
            input,
            options,
        }),
        _ => Err(errors),
    }
}

fn options(body: &Object) -> Found<JobOptions> {
    let given = given(body)?;
    let mut errors = Vec::new();
    let value = |name: &str| given.and_then(|options| present(options, name));
    let expires = whole(value("expires"), option("expires"), 1, limit(MAX_WAIT));
    let expires = keep(&mut errors, expires).flatten();
    let retries = keep(&mut errors, retries(value("max_retries"))).flatten();
    let time_limit = keep(&mut errors, time_limit(value("time_limit"))).flatten();
    let priority = keep(&mut errors, priority(value("priority")));
    errors.extend(unknown(given, &OPTIONS));
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(JobOptions {
        expires: expires.and_then(|seconds| seconds.try_into().ok()),
        max_retries: retries.and_then(|count| count.try_into().ok()),
        time_limit: time_limit.and_then(|seconds| seconds.try_into().ok()),
        priority: priority.unwrap_or_default(),
    })
}

/// The rule and the name of its time zone.
fn rule(body: &Object) -> Found<(Spec, String)> {
    let Some(given) = body.get("rule") else {
        return Err(vec![pydantic::missing(loc("rule"), body.clone())]);
    };
    let timezone = match present(body, "timezone") {
        None => DEFAULT_TIMEZONE.to_owned(),
        Some(Json::String(name)) => name.clone(),
        Some(other) => return Err(vec![pydantic::string(loc("timezone"), other.clone())]),
    };
    let spec = Spec::from_json(given).map_err(|error| vec![wrong_rule(&error, body)])?;
    let rule = crate::schedules::rule::Rule::parse(&spec, &timezone);
    rule.map_err(|error| vec![wrong_rule(&error, body)])?;
    Ok((spec, timezone))
}

/// The error of a rule, at its place in the body.
fn wrong_rule(error: &RuleError, body: &Object) -> FieldError {
    let is_timezone = error.path.first().is_some_and(|name| name == "timezone");
    let path = match is_timezone {
        true => error.path.clone(),
        false => [&["rule".to_owned()], &error.path[..]].concat(),
    };
    let mut value = Some(&path).map(|_| Json::Null);
    let mut at: Option<&Json> = None;
    for (depth, name) in path.iter().enumerate() {
        at = match depth {
            0 => body.get(name),
            _ => at.and_then(|at| at.get(name)),
        };
    }
    if let Some(found) = at {
        value = Some(found.clone());
    }
    let loc = std::iter::once("body".into()).chain(path.iter().map(|name| name.as_str().into()));
    pydantic::value(loc, &error.message, value.unwrap_or_default())
}

fn flag(body: &Object, name: &str) -> Found<Option<bool>> {
    match present(body, name) {
        None => Ok(None),
        Some(Json::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(vec![pydantic::boolean(loc(name), other.clone())]),
    }
}

/// The value of a name; the default if the member is absent.
fn one_of<T: Copy + Default>(body: &Object, name: &str, values: &[(&str, T)]) -> Found<T> {
    let Some(given) = present(body, name) else {
        return Ok(T::default());
    };
    let found = values.iter().find(|(name, _)| given.as_str() == Some(name));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        vec![pydantic::literal(loc(name), &names, given.clone())]
    })
}
