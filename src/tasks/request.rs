//! `POST /tasks/`: what a submission asks for, and all that is wrong with it.

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::registry::JobInfo;
use super::task::{Options, Priority, Task};
use crate::http::{Checked, FieldError, Loc, Rejection, Request};
use crate::json::{Json, Object};

/// The header that makes a submission safe to repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest key, in characters.
const MAX_KEY: usize = 255;
/// The most retries that a submission may ask for.
const MAX_RETRIES: i64 = 100;
/// The longest time limit of an attempt, in seconds: Lambda's own.
const MAX_TIME_LIMIT: i64 = 900;
/// The latest time at which a task may be due, in seconds from its submission: a year.
const MAX_DELAY: i64 = 365 * 24 * 3600;
/// The namespace of ids that are made of idempotency keys (a random UUID).
const KEYS: Uuid = Uuid::from_u128(0x8a1d_3c1e_5f0b_4d7e_9a53_0d2f_8a9c_1b7e);

/// A submission, checked against its job.
#[derive(Debug)]
pub struct Submission {
    job: &'static str,
    input: Box<RawValue>,
    options: Options,
    /// The caller's key, and a hash of what was asked for with it.
    key: Option<(String, String)>,
}

/// A task to be run.
#[derive(Debug, ToSchema)]
#[schema(as = NewTask, example = json!({
    "job": "process_data",
    "input": {"values": [1, 2, 3]},
    "options": {"countdown": 5, "max_retries": 2},
}))]
pub struct NewTaskSchema {
    /// The name of a job; `GET /jobs/` lists them.
    pub job: String,
    /// What the job is given, as its own schema has it.
    #[schema(value_type = serde_json::Value, required = false)]
    pub input: Json,
    /// How the task is to be run.
    #[schema(required = false)]
    pub options: OptionsSchema,
}

/// How a task is to be run.
#[derive(Debug, ToSchema)]
#[schema(as = TaskOptions)]
pub struct OptionsSchema {
    /// Seconds to wait before it may begin, at most a year.
    #[schema(minimum = 0, maximum = 31536000)]
    pub countdown: Option<f64>,
    /// When it may begin, in place of `countdown`. A time that has passed is now.
    #[schema(format = DateTime)]
    pub eta: Option<String>,
    /// When it may no longer begin.
    #[schema(format = DateTime)]
    pub expires: Option<String>,
    /// Attempts after the first, in place of the job's own number.
    #[schema(minimum = 0, maximum = 100)]
    pub max_retries: Option<i64>,
    /// `high` has workers of its own.
    #[schema(inline)]
    pub priority: Option<PrioritySchema>,
    /// The longest time of one attempt in seconds.
    #[schema(minimum = 1, maximum = 900)]
    pub time_limit: Option<i64>,
}

/// Which queue carries a task.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum PrioritySchema {
    /// The queue of most tasks.
    Normal,
    /// A queue with workers of its own.
    High,
}

impl Submission {
    /// Reads a submission of one of `jobs`, at the time `now` in milliseconds since the Unix epoch.
    pub fn read(request: &Request, jobs: &'static [JobInfo], now: u64) -> Checked<Submission> {
        let body = object(request.body_json()?, &["body".into()])?;
        let mut errors = Vec::new();
        let job = keep(&mut errors, job(&body, jobs));
        let input = keep(&mut errors, input(&body, job));
        let options = keep(&mut errors, options(&body, now));
        let key = keep(&mut errors, key(request, &body));
        match (job, input, options, key) {
            (Some(job), Some(input), Some(options), Some(key)) if errors.is_empty() => {
                Ok(Submission {
                    job: job.name,
                    input,
                    options,
                    key,
                })
            }
            _ => Err(Rejection::Fields(errors)),
        }
    }

    /// The task. With an idempotency key its id is made of the caller and the key, so that callers'
    /// keys don't meet.
    pub fn task(self, caller: Option<&str>, now: u64) -> Task {
        let id = match &self.key {
            Some((key, _)) => {
                let name = format!("{}\n{key}", caller.unwrap_or_default());
                Uuid::new_v5(&KEYS, name.as_bytes())
            }
            None => Uuid::new_v4(),
        };
        let mut task = Task::new(id, self.job, self.input, now).with_options(self.options);
        task.fingerprint = self.key.map(|(_, fingerprint)| fingerprint);
        task.caller = caller.map(str::to_owned);
        task
    }
}

type Found<T> = Result<T, Vec<FieldError>>;

fn keep<T>(errors: &mut Vec<FieldError>, found: Found<T>) -> Option<T> {
    found.map_err(|found| errors.extend(found)).ok()
}

fn object(value: Json, loc: &[Loc]) -> Checked<Object> {
    value.into_object().map_err(|other| {
        let msg = "Input should be a valid dictionary or object to extract fields from";
        FieldError::new("model_attributes_type", loc.to_vec(), msg, other).into()
    })
}

fn job(body: &Object, jobs: &'static [JobInfo]) -> Found<&'static JobInfo> {
    let loc: [Loc; 2] = ["body".into(), "job".into()];
    let given = match body.get("job") {
        None => return Err(vec![FieldError::missing(loc, Json::Object(body.clone()))]),
        Some(Json::String(name)) => name,
        Some(other) => {
            let msg = "Input should be a valid string";
            return Err(vec![FieldError::new(
                "string_type",
                loc,
                msg,
                other.clone(),
            )]);
        }
    };
    let names: Vec<&str> = jobs.iter().map(|job| job.name).collect();
    let found = jobs.iter().find(|job| job.name == given);
    found.ok_or_else(|| vec![not_one_of(loc.to_vec(), &names, given.as_str().into())])
}

/// A text that is none of these, in the words that Pydantic has for a `Literal`.
pub fn not_one_of(loc: Vec<Loc>, names: &[&str], given: Json) -> FieldError {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let expected = match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    let msg = format!("Input should be {expected}");
    let ctx = Json::object([("expected", Json::from(expected))]);
    FieldError::new("literal_error", loc, msg, given).with_ctx(ctx)
}

/// The input as the job's own type reads it; a job that needs none is given an empty object.
fn input(body: &Object, job: Option<&JobInfo>) -> Found<Box<RawValue>> {
    let wrong = |reason: String, input: &Json| {
        let loc = ["body".into(), "input".into()];
        let ctx = Json::object([("error", Json::from(reason.clone()))]);
        let msg = format!("Value error, {reason}");
        vec![FieldError::new("value_error", loc, msg, input.clone()).with_ctx(ctx)]
    };
    let empty = Json::Object(Object::new());
    let given = body.get("input").unwrap_or(&empty);
    let text = given
        .to_text()
        .map_err(|error| wrong(error.to_string(), &Json::Null))?;
    let input = RawValue::from_string(text).map_err(|error| wrong(error.to_string(), given))?;
    let checked = job.map_or(Ok(()), |job| (job.check)(&input));
    checked
        .map(|()| input)
        .map_err(|error| wrong(error.to_string(), given))
}

fn options(body: &Object, now: u64) -> Found<Options> {
    let loc = |name: &str| -> Vec<Loc> { vec!["body".into(), "options".into(), name.into()] };
    let none = Object::new();
    let given = match body.get("options") {
        None | Some(Json::Null) => &none,
        Some(Json::Object(options)) => options,
        Some(other) => {
            let at: [Loc; 2] = ["body".into(), "options".into()];
            let Err(Rejection::Fields(errors)) = object(other.clone(), &at) else {
                return Ok(Options::default());
            };
            return Err(errors);
        }
    };
    let mut errors = Vec::new();
    let value = |name: &str| given.get(name).filter(|value| !value.is_null());
    let countdown = keep(
        &mut errors,
        countdown(value("countdown"), &loc("countdown")),
    );
    let eta = keep(&mut errors, time(value("eta"), &loc("eta")));
    let expires = keep(&mut errors, time(value("expires"), &loc("expires")));
    let retries = whole(value("max_retries"), 0, MAX_RETRIES, &loc("max_retries"));
    let retries = keep(&mut errors, retries);
    let limit = whole(value("time_limit"), 1, MAX_TIME_LIMIT, &loc("time_limit"));
    let limit = keep(&mut errors, limit);
    let priority = keep(&mut errors, priority(value("priority"), &loc("priority")));
    const KNOWN: [&str; 6] = [
        "countdown",
        "eta",
        "expires",
        "max_retries",
        "priority",
        "time_limit",
    ];
    for (name, value) in given
        .iter()
        .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
    {
        let msg = "Extra inputs are not permitted";
        errors.push(FieldError::new(
            "extra_forbidden",
            loc(name),
            msg,
            value.clone(),
        ));
    }
    let due = countdown.flatten().map(|wait| now + wait);
    let (eta, expires) = (eta.flatten(), expires.flatten());
    if due.is_some() && eta.is_some() {
        errors.push(conflict(
            loc("eta"),
            "give either countdown or eta",
            value("eta"),
        ));
    }
    // A time that has passed is now.
    let begins = due.or(eta).filter(|begins| *begins > now);
    let latest = now + u64::try_from(MAX_DELAY * 1000).unwrap_or(0);
    if begins.is_some_and(|begins| begins > latest) {
        let reason = "a task may wait for a year at most";
        errors.push(conflict(loc("eta"), reason, value("eta")));
    }
    // Also where both have passed: it is a mistake of the caller's, and not a task that came too late.
    let due = due.or(eta);
    if expires.is_some_and(|expires| due.is_some_and(|due| expires <= due)) {
        let reason = "the task would expire before it may begin";
        errors.push(conflict(loc("expires"), reason, value("expires")));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Options {
        eta: begins,
        expires,
        max_retries: retries.flatten().and_then(|count| count.try_into().ok()),
        time_limit: limit.flatten().and_then(|count| count.try_into().ok()),
        priority: priority.unwrap_or_default(),
    })
}

fn conflict(loc: Vec<Loc>, reason: &str, given: Option<&Json>) -> FieldError {
    let ctx = Json::object([("error", Json::from(reason))]);
    let given = given.cloned().unwrap_or_default();
    FieldError::new("value_error", loc, format!("Value error, {reason}"), given).with_ctx(ctx)
}

/// Seconds, as milliseconds.
fn countdown(given: Option<&Json>, loc: &[Loc]) -> Found<Option<u64>> {
    let Some(value) = given else { return Ok(None) };
    let error = |kind, msg: &str| vec![FieldError::new(kind, loc.to_vec(), msg, value.clone())];
    let Some(seconds) = value.as_f64().filter(|seconds| seconds.is_finite()) else {
        return Err(error("float_type", "Input should be a valid number"));
    };
    if seconds < 0.0 {
        return Err(bound("greater_than_equal", "greater", "ge", 0, loc, value));
    }
    if seconds > MAX_DELAY as f64 {
        return Err(bound(
            "less_than_equal",
            "less",
            "le",
            MAX_DELAY,
            loc,
            value,
        ));
    }
    Ok(Some((seconds * 1000.0) as u64))
}

fn whole(given: Option<&Json>, least: i64, most: i64, loc: &[Loc]) -> Found<Option<i64>> {
    let Some(value) = given else { return Ok(None) };
    let Some(number) = value.as_int() else {
        let msg = "Input should be a valid integer";
        return Err(vec![FieldError::new(
            "int_type",
            loc.to_vec(),
            msg,
            value.clone(),
        )]);
    };
    let beyond = if number.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    match number.as_i64().unwrap_or(beyond) {
        number if number < least => Err(bound(
            "greater_than_equal",
            "greater",
            "ge",
            least,
            loc,
            value,
        )),
        number if number > most => Err(bound("less_than_equal", "less", "le", most, loc, value)),
        number => Ok(Some(number)),
    }
}

fn bound(
    kind: &'static str,
    word: &str,
    name: &str,
    limit: i64,
    loc: &[Loc],
    given: &Json,
) -> Vec<FieldError> {
    let msg = format!("Input should be {word} than or equal to {limit}");
    let ctx = Json::object([(name, Json::from(limit))]);
    vec![FieldError::new(kind, loc.to_vec(), msg, given.clone()).with_ctx(ctx)]
}

/// A time with its zone (RFC 3339), in milliseconds since the Unix epoch.
fn time(given: Option<&Json>, loc: &[Loc]) -> Found<Option<u64>> {
    let Some(value) = given else { return Ok(None) };
    let read = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let Some(time) = read else {
        let msg = "Input should be a valid datetime with a time zone, such as 2030-01-31T12:00:00Z";
        return Err(vec![FieldError::new(
            "datetime_parsing",
            loc.to_vec(),
            msg,
            value.clone(),
        )]);
    };
    Ok(Some(u64::try_from(time.as_millisecond()).unwrap_or(0)))
}

fn priority(given: Option<&Json>, loc: &[Loc]) -> Found<Priority> {
    let Some(value) = given else {
        return Ok(Priority::default());
    };
    let found = value.as_str().and_then(Priority::from_name);
    found.ok_or_else(|| vec![not_one_of(loc.to_vec(), &["normal", "high"], value.clone())])
}

/// The idempotency key with a hash of what it is used for: the whole body, as its values are.
fn key(request: &Request, body: &Object) -> Found<Option<(String, String)>> {
    let Some(key) = request.header(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    if key.is_empty() || key.chars().count() > MAX_KEY {
        let loc = ["header".into(), IDEMPOTENCY_KEY.into()];
        let msg = format!("Value error, a key has 1 to {MAX_KEY} characters");
        return Err(vec![FieldError::new("value_error", loc, msg, key)]);
    }
    // What is not finite is refused as input.
    let text = Json::Object(body.clone()).to_text().unwrap_or_default();
    let hash = digest(&SHA256, text.as_bytes());
    let fingerprint = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok(Some((key.to_owned(), fingerprint.collect())))
}

#[cfg(test)]
mod tests;
