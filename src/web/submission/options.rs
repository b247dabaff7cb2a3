//! Reads the options of a submission.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use utoipa::ToSchema;

use super::{Found, keep};
use crate::json::{Json, Object};
use crate::tasks::task::{MAX_RETRIES, MAX_TIME_LIMIT, MAX_WAIT, Options, Priority};
use crate::web::checks::pydantic;
use crate::web::error::{FieldError, Loc};

/// How to run a task.
#[derive(Debug, ToSchema)]
#[schema(as = TaskOptions)]
pub struct OptionsSchema {
    /// Seconds before the task may start, at most a year.
    #[schema(minimum = 0, maximum = 31536000)]
    pub countdown: Option<f64>,
    /// The time from which the task may start, in place of `countdown`. A past time means at once.
    #[schema(format = DateTime)]
    pub eta: Option<String>,
    /// The time after which the task may not start.
    #[schema(format = DateTime)]
    pub expires: Option<String>,
    /// The most attempts after the first, in place of the job's default.
    #[schema(minimum = 0, maximum = 100)]
    pub max_retries: Option<i64>,
    /// `high` has workers of its own.
    #[schema(inline)]
    pub priority: Option<PrioritySchema>,
    /// The longest time of one attempt in seconds.
    #[schema(minimum = 1, maximum = 900)]
    pub time_limit: Option<i64>,
}

/// The priority of a task. Each priority has a queue of its own.
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

/// The attempts after the first.
pub(in crate::web) fn retries(value: Option<&Json>) -> Found<Option<i64>> {
    whole(value, loc("max_retries"), 0, MAX_RETRIES.into())
}

/// The longest time of one attempt, in seconds.
pub(in crate::web) fn time_limit(value: Option<&Json>) -> Found<Option<i64>> {
    whole(value, loc("time_limit"), 1, limit(MAX_TIME_LIMIT))
}

/// An error for each option that is not among `names`.
pub(in crate::web) fn unknown(given: Option<&Object>, names: &[&str]) -> Vec<FieldError> {
    let options = given.into_iter().flat_map(Object::iter);
    let unknown = options.filter(|(name, _)| !names.contains(&name.as_str()));
    let extra = |(name, value): (&String, &Json)| pydantic::extra(loc(name), value.clone());
    unknown.map(extra).collect()
}

/// Reads the options of a submission, at the time `now` in milliseconds since the Unix epoch.
pub(super) fn read(body: &Object, now: u64) -> Found<Options> {
    let given = given(body)?;
    let mut errors = Vec::new();
    let value = |name: &str| given?.get(name).filter(|value| !value.is_null());
    let countdown = keep(&mut errors, countdown(value("countdown"))).flatten();
    let eta = keep(&mut errors, time(value("eta"), loc("eta"))).flatten();
    let expires = keep(&mut errors, time(value("expires"), loc("expires"))).flatten();
    let retries = keep(&mut errors, retries(value("max_retries"))).flatten();
    let time_limit = keep(&mut errors, time_limit(value("time_limit"))).flatten();
    let priority = keep(&mut errors, priority(value("priority")));
    errors.extend(unknown(given, &NAMES));
    let countdown_end = countdown.map(|wait| now + wait);
    let latest = now + MAX_WAIT * 1000;
    let due = due(&mut errors, countdown_end, eta, latest, value("eta"));
    // An error also if both times have passed: the caller made a mistake, the task is not merely late.
    if expires.is_some_and(|expires| due.is_some_and(|due| expires <= due)) {
        let reason = "the task would expire before it may begin";
        errors.push(conflict("expires", reason, value("expires")));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Options {
        // A task with a past time runs at once.
        eta: due.filter(|due| *due > now),
        expires,
        max_retries: retries.and_then(|count| count.try_into().ok()),
        time_limit: time_limit.and_then(|count| count.try_into().ok()),
        priority: priority.unwrap_or_default(),
    })
}

/// The member `options` of a submission, or `None` if the member is absent or null.
pub(in crate::web) fn given(body: &Object) -> Found<Option<&Object>> {
    match body.get("options") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(options)) => Ok(Some(options)),
        Some(other) => {
            let loc = ["body".into(), "options".into()];
            Err(vec![pydantic::model(loc, other.clone())])
        }
    }
}

/// The time at which the task is due: the end of `countdown`, or `eta`. Adds an error if both are given,
/// and if the time is later than `latest`.
fn due(
    errors: &mut Vec<FieldError>,
    countdown_end: Option<u64>,
    eta: Option<u64>,
    latest: u64,
    given: Option<&Json>,
) -> Option<u64> {
    if countdown_end.is_some() && eta.is_some() {
        errors.push(conflict("eta", "give either countdown or eta", given));
    }
    let due = countdown_end.or(eta);
    if due.is_some_and(|due| due > latest) {
        let reason = "a task may wait for a year at most";
        errors.push(conflict("eta", reason, given));
    }
    due
}

pub(in crate::web) fn limit(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(in crate::web) fn loc(name: &str) -> [Loc; 3] {
    ["body".into(), "options".into(), name.into()]
}

fn conflict(name: &str, reason: &str, given: Option<&Json>) -> FieldError {
    pydantic::value(loc(name), reason, given.cloned().unwrap_or_default())
}

/// The option `countdown`, converted from seconds to milliseconds.
fn countdown(given: Option<&Json>) -> Found<Option<u64>> {
    let Some(value) = given else { return Ok(None) };
    let loc = loc("countdown");
    let Some(seconds) = value.as_f64().filter(|seconds| seconds.is_finite()) else {
        return Err(vec![pydantic::number(loc, value.clone())]);
    };
    if seconds < 0.0 {
        return Err(vec![pydantic::at_least(loc, 0, value.clone())]);
    }
    if seconds > MAX_WAIT as f64 {
        return Err(vec![pydantic::at_most(loc, limit(MAX_WAIT), value.clone())]);
    }
    Ok(Some((seconds * 1000.0) as u64))
}

/// An integer from `least` to `most`.
pub(in crate::web) fn whole(
    given: Option<&Json>,
    loc: impl IntoIterator<Item = Loc>,
    least: i64,
    most: i64,
) -> Found<Option<i64>> {
    let Some(value) = given else { return Ok(None) };
    let Some(number) = value.as_int() else {
        return Err(vec![pydantic::integer(loc, value.clone())]);
    };
    let beyond = if number.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    match number.as_i64().unwrap_or(beyond) {
        number if number < least => Err(vec![pydantic::at_least(loc, least, value.clone())]),
        number if number > most => Err(vec![pydantic::at_most(loc, most, value.clone())]),
        number => Ok(Some(number)),
    }
}

/// A time with a time zone (RFC 3339), in milliseconds since the Unix epoch.
pub(in crate::web) fn time(
    given: Option<&Json>,
    loc: impl IntoIterator<Item = Loc>,
) -> Found<Option<u64>> {
    let Some(value) = given else { return Ok(None) };
    let Some(time) = value.as_str().and_then(timestamp) else {
        return Err(vec![pydantic::datetime(loc, value.clone())]);
    };
    Ok(Some(u64::try_from(time.as_millisecond()).unwrap_or(0)))
}

/// Parses a time of RFC 3339. `jiff`'s latest time is on December 30, 9999. Later times of that year, a
/// common way to say "never", become the latest time.
fn timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let pieces = Pieces::parse(text).ok()?;
    let is_last = pieces.date().year() == 9999 && pieces.date().month() == 12;
    let has_zone = pieces.time().is_some() && pieces.offset().is_some();
    (is_last && has_zone).then_some(Timestamp::MAX)
}

pub(in crate::web) fn priority(given: Option<&Json>) -> Found<Priority> {
    let Some(value) = given else {
        return Ok(Priority::default());
    };
    let found = value.as_str().and_then(Priority::from_name);
    found.ok_or_else(|| {
        let names = ["normal", "high"];
        vec![pydantic::literal(loc("priority"), &names, value.clone())]
    })
}
