//! Rules: the times at which a schedule fires.
//!
//! A [`Spec`] is a rule as a client writes it, in one of four forms: Celery's `crontab`, a standard cron
//! line, an interval, or one time. [`Rule::parse`] checks a spec together with a time zone, and
//! [`Rule::next`] computes the first time after another time. All times are milliseconds since the Unix
//! epoch. Nothing here reads a clock, so the same rule fires at the same times on every machine; the
//! database of time zones is a part of the executable.
//!
//! The two cron forms are sets of local times: `calendar` computes them without a time zone, and `zone`
//! turns them into moments, with the rules for daylight saving. `docs/SCHEDULES.md` describes both for
//! users.

mod calendar;
mod cron;
mod crontab;
mod spec;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use calendar::Calendar;
pub use spec::{CrontabFields, MAX_INTERVAL, MIN_INTERVAL, Spec};
use zone::Zone;

/// The name of the time zone of a schedule that names no time zone.
pub const DEFAULT_TIMEZONE: &str = "UTC";

/// A valid rule in its time zone. Made by [`Rule::parse`].
#[derive(Debug, Clone)]
pub struct Rule {
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Calendar { calendar: Calendar, zone: Zone },
    Every { every: u64, start: u64 },
    At(u64),
}

/// The refusal of a spec or a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The place of the error: `["timezone"]` for the time zone. Otherwise the keys inside the rule's JSON,
    /// as in `["crontab", "minute"]` or `["every"]`; empty if the rule as a whole is wrong.
    pub path: Vec<String>,
    /// The reason, for people: one sentence without a full stop.
    pub message: String,
}

impl RuleError {
    fn new(path: &[&str], message: impl Into<String>) -> RuleError {
        RuleError {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            message: message.into(),
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("."))?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// Checks a spec and the IANA name of a time zone, in any case of letters. Refuses a calendar rule that
    /// never fires, such as one for February 30. A time that is past is no error: the result then has no
    /// next time.
    pub fn parse(spec: &Spec, timezone: &str) -> Result<Rule, RuleError> {
        let zone = Zone::find(timezone)?;
        let form = match spec {
            Spec::Crontab(fields) => Form::Calendar {
                calendar: crontab::parse(fields)?,
                zone,
            },
            Spec::Cron(line) => Form::Calendar {
                calendar: cron::parse(line)?,
                zone,
            },
            Spec::Every { every, start } => {
                spec::check_interval(*every)?;
                Form::Every {
                    every: *every,
                    start: start.unwrap_or(0),
                }
            }
            Spec::At(at) => Form::At(*at),
        };
        Ok(Rule { form })
    }

    /// The first time at which the rule fires after `after`, which itself does not count. Both are
    /// milliseconds since the Unix epoch. `None` if the rule does not fire again before the year 9999.
    ///
    /// An interval fires at its start and at each multiple of the interval after the start.
    pub fn next(&self, after: u64) -> Option<u64> {
        match &self.form {
            Form::Calendar { calendar, zone } => zone.next(calendar, after),
            Form::Every { every, start } => next_multiple(*every, *start, after),
            Form::At(at) => (*at > after).then_some(*at),
        }
    }

    /// All times after `after`, in ascending order. Endless for most rules.
    pub fn iter(&self, after: u64) -> impl Iterator<Item = u64> + '_ {
        std::iter::successors(self.next(after), |at| self.next(*at))
    }
}

/// The least of `start`, `start + every`, `start + 2 * every` … that is greater than `after`.
fn next_multiple(every: u64, start: u64, after: u64) -> Option<u64> {
    let Some(since) = after.checked_sub(start) else {
        return Some(start);
    };
    let rest = since.checked_rem(every)?;
    after.checked_add(every - rest)
}
