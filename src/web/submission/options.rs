//! The options of a submission.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use utoipa::ToSchema;

use super::{Found, keep};
use crate::json::{Json, Object};
use crate::tasks::task::{MAX_RETRIES, MAX_TIME_LIMIT, MAX_WAIT, Options, Priority};
use crate::web::checks::words;
use crate::web::error::{FieldError, Loc};

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

/// The names of all options.
const NAMES: [&str; 6] = [
    "countdown",
    "eta",
    "expires",
    "max_retries",
    "priority",
    "time_limit",
];

/// Reads the options of a submission, at the time `now` in milliseconds since the Unix epoch.
pub(super) fn read(body: &Object, now: u64) -> Found<Options> {
    let none = Object::new();
    let given = match body.get("options") {
        None | Some(Json::Null) => &none,
        Some(Json::Object(options)) => options,
        Some(other) => {
            let loc = ["body".into(), "options".into()];
            return Err(vec![words::model(loc, other.clone())]);
        }
    };
    let mut errors = Vec::new();
    let value = |name: &str| given.get(name).filter(|value| !value.is_null());
    let countdown = keep(&mut errors, countdown(value("countdown"))).flatten();
    let eta = keep(&mut errors, time(value("eta"), "eta")).flatten();
    let expires = keep(&mut errors, time(value("expires"), "expires")).flatten();
    let retries = whole(value("max_retries"), "max_retries", 0, MAX_RETRIES.into());
    let retries = keep(&mut errors, retries).flatten();
    let time_limit = whole(value("time_limit"), "time_limit", 1, limit(MAX_TIME_LIMIT));
    let time_limit = keep(&mut errors, time_limit).flatten();
    let priority = keep(&mut errors, priority(value("priority")));
    let unknown = given
        .iter()
        .filter(|(name, _)| !NAMES.contains(&name.as_str()));
    errors.extend(unknown.map(|(name, value)| words::extra(loc(name), value.clone())));
    let due = countdown.map(|wait| now + wait);
    if due.is_some() && eta.is_some() {
        errors.push(conflict(
            "eta",
            "give either countdown or eta",
            value("eta"),
        ));
    }
    let due = due.or(eta);
    if due.is_some_and(|due| due > now + MAX_WAIT * 1000) {
        let reason = "a task may wait for a year at most";
        errors.push(conflict("eta", reason, value("eta")));
    }
    // Also if both times have passed: that is a mistake of the caller's, and not a late task.
    if expires.is_some_and(|expires| due.is_some_and(|due| expires <= due)) {
        let reason = "the task would expire before it may begin";
        errors.push(conflict("expires", reason, value("expires")));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Options {
        // A time that has passed is now.
        eta: due.filter(|due| *due > now),
        expires,
        max_retries: retries.and_then(|count| count.try_into().ok()),
        time_limit: time_limit.and_then(|count| count.try_into().ok()),
        priority: priority.unwrap_or_default(),
    })
}

fn limit(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn loc(name: &str) -> [Loc; 3] {
    ["body".into(), "options".into(), name.into()]
}

fn conflict(name: &str, reason: &str, given: Option<&Json>) -> FieldError {
    words::value(loc(name), reason, given.cloned().unwrap_or_default())
}

/// Seconds, as milliseconds.
fn countdown(given: Option<&Json>) -> Found<Option<u64>> {
    let Some(value) = given else { return Ok(None) };
    let loc = loc("countdown");
    let Some(seconds) = value.as_f64().filter(|seconds| seconds.is_finite()) else {
        return Err(vec![words::number(loc, value.clone())]);
    };
    if seconds < 0.0 {
        return Err(vec![words::at_least(loc, 0, value.clone())]);
    }
    if seconds > MAX_WAIT as f64 {
        return Err(vec![words::at_most(loc, limit(MAX_WAIT), value.clone())]);
    }
    Ok(Some((seconds * 1000.0) as u64))
}

fn whole(given: Option<&Json>, name: &str, least: i64, most: i64) -> Found<Option<i64>> {
    let Some(value) = given else { return Ok(None) };
    let loc = loc(name);
    let Some(number) = value.as_int() else {
        return Err(vec![words::integer(loc, value.clone())]);
    };
    let beyond = if number.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    match number.as_i64().unwrap_or(beyond) {
        number if number < least => Err(vec![words::at_least(loc, least, value.clone())]),
        number if number > most => Err(vec![words::at_most(loc, most, value.clone())]),
        number => Ok(Some(number)),
    }
}

/// A time with its zone (RFC 3339), in milliseconds since the Unix epoch.
fn time(given: Option<&Json>, name: &str) -> Found<Option<u64>> {
    let Some(value) = given else { return Ok(None) };
    let Some(time) = value.as_str().and_then(timestamp) else {
        return Err(vec![words::datetime(loc(name), value.clone())]);
    };
    Ok(Some(u64::try_from(time.as_millisecond()).unwrap_or(0)))
}

/// A time of RFC 3339. The latest that `jiff` knows is the next to last day of the year 9999: later times
/// of that year, a common "never", become the latest.
fn timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let pieces = Pieces::parse(text).ok()?;
    let is_last = pieces.date().year() == 9999 && pieces.date().month() == 12;
    let has_zone = pieces.time().is_some() && pieces.offset().is_some();
    (is_last && has_zone).then_some(Timestamp::MAX)
}

fn priority(given: Option<&Json>) -> Found<Priority> {
    let Some(value) = given else {
        return Ok(Priority::default());
    };
    let found = value.as_str().and_then(Priority::from_name);
    found.ok_or_else(|| {
        let names = ["normal", "high"];
        vec![words::literal(loc("priority"), &names, value.clone())]
    })
}
