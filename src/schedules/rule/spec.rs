//! Rules as clients write them, and their JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RuleError;
use crate::json::{Json, Object};

/// The shortest interval: one second, in milliseconds. The delay of an SQS message has no finer steps.
pub const MIN_INTERVAL: u64 = 1_000;
/// The longest interval: 100 years of 365 days, in milliseconds.
pub const MAX_INTERVAL: u64 = 100 * 365 * 24 * 3_600 * 1_000;
/// The greatest length of a cron line and of a field of a crontab, in bytes. A list of all sixty minutes has
/// 169.
const MAX_TEXT: usize = 1_000;

/// A rule as a client writes it. [`Rule::parse`](super::Rule::parse) checks what is in it.
///
/// As JSON, an object with one key that names the form:
///
/// | Form | JSON |
/// |---|---|
/// | Celery's crontab | `{"crontab": {"minute": "*/5", "hour": "8-18"}}` |
/// | A standard cron line | `{"cron": "0 9 * * MON#1"}` |
/// | An interval in seconds | `{"every": 30}`, `{"every": 1.5, "start": "2026-12-01T09:00:00Z"}` |
/// | One time | `{"at": "2026-12-01T09:00:00+01:00"}` |
///
/// Times are texts of RFC 3339 with an offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub enum Spec {
    /// The five fields of Celery's `crontab`. A day must match the day of the week *and* the day of the
    /// month.
    Crontab(CrontabFields),
    /// A line of five fields (minute, hour, day of the month, month, day of the week) or a name such as
    /// `@daily`. If both days are given, a day matches either of them.
    Cron(String),
    /// An interval.
    Every {
        /// The interval in milliseconds, from [`MIN_INTERVAL`] to [`MAX_INTERVAL`].
        every: u64,
        /// The first time, in milliseconds since the Unix epoch; the epoch itself if absent.
        start: Option<u64>,
    },
    /// One time, in milliseconds since the Unix epoch.
    At(u64),
}

/// The fields of Celery's `crontab`, as texts. A number is written as its digits, and a list of numbers with
/// commas. In JSON, a field may also be a number, and an absent field is `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrontabFields {
    /// 0 to 59.
    pub minute: String,
    /// 0 to 23.
    pub hour: String,
    /// 0 (Sunday) to 6 (Saturday), or names: `mon`, `monday`.
    pub day_of_week: String,
    /// 1 to 31.
    pub day_of_month: String,
    /// 1 to 12, or names: `jan`, `january`.
    pub month_of_year: String,
}

impl Default for CrontabFields {
    /// Every minute.
    fn default() -> CrontabFields {
        let all = || "*".to_owned();
        CrontabFields {
            minute: all(),
            hour: all(),
            day_of_week: all(),
            day_of_month: all(),
            month_of_year: all(),
        }
    }
}

impl Spec {
    /// Reads a rule's JSON. Checks the form only, not what [`Rule::parse`](super::Rule::parse) checks.
    pub fn from_json(json: &Json) -> Result<Spec, RuleError> {
        const FORMS: &str =
            r#"a rule is an object with one of the keys "crontab", "cron", "every", "at""#;
        let object = json.as_object().ok_or_else(|| RuleError::new(&[], FORMS))?;
        let forms = ["crontab", "cron", "every", "at"];
        let mut given = forms.iter().filter(|form| object.contains_key(form));
        let (Some(form), None) = (given.next(), given.next()) else {
            return Err(RuleError::new(&[], FORMS));
        };
        let others = object.keys().filter(|key| key != form);
        for key in others {
            if (*form, key.as_str()) != ("every", "start") {
                let message = format!("the key does not belong to a rule of the form {form:?}");
                return Err(RuleError::new(&[key], message));
            }
        }
        let value = object.get(form).unwrap_or(&Json::Null);
        match *form {
            "crontab" => Ok(Spec::Crontab(crontab(value)?)),
            "cron" => Ok(Spec::Cron(text(value, &["cron"])?)),
            "every" => Ok(Spec::Every {
                every: interval(value)?,
                start: object
                    .get("start")
                    .map(|at| time(at, "start"))
                    .transpose()?,
            }),
            _ => Ok(Spec::At(time(value, "at")?)),
        }
    }

    /// Writes the rule as JSON. [`Spec::from_json`] reads an equal spec from the result.
    pub fn to_json(&self) -> Json {
        match self {
            Spec::Crontab(fields) => {
                let texts = fields.named().map(|(name, text)| (name, text.into()));
                Json::object([("crontab", Json::object(texts))])
            }
            Spec::Cron(line) => Json::object([("cron", Json::from(line.as_str()))]),
            Spec::Every { every, start } => {
                let start = start.map(|start| ("start", written(start)));
                Json::object([("every", seconds(*every))].into_iter().chain(start))
            }
            Spec::At(at) => Json::object([("at", written(*at))]),
        }
    }
}

impl TryFrom<Json> for Spec {
    type Error = RuleError;

    fn try_from(json: Json) -> Result<Spec, RuleError> {
        Spec::from_json(&json)
    }
}

impl From<Spec> for Json {
    fn from(spec: Spec) -> Json {
        spec.to_json()
    }
}

impl CrontabFields {
    /// The fields with their names in JSON, in the order of Celery's parameters.
    pub fn named(&self) -> [(&'static str, &str); 5] {
        [
            ("minute", &self.minute),
            ("hour", &self.hour),
            ("day_of_week", &self.day_of_week),
            ("day_of_month", &self.day_of_month),
            ("month_of_year", &self.month_of_year),
        ]
    }

    fn field(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "minute" => Some(&mut self.minute),
            "hour" => Some(&mut self.hour),
            "day_of_week" => Some(&mut self.day_of_week),
            "day_of_month" => Some(&mut self.day_of_month),
            "month_of_year" => Some(&mut self.month_of_year),
            _ => None,
        }
    }
}

/// Refuses an interval that is too short or too long.
pub(super) fn check_interval(every: u64) -> Result<(), RuleError> {
    if every < MIN_INTERVAL {
        return Err(RuleError::new(
            &["every"],
            "an interval is at least 1 second",
        ));
    }
    if every > MAX_INTERVAL {
        let most = MAX_INTERVAL / 1_000;
        let message = format!("an interval is at most {most} seconds (100 years)");
        return Err(RuleError::new(&["every"], message));
    }
    Ok(())
}

fn crontab(value: &Json) -> Result<CrontabFields, RuleError> {
    let not_an_object = || RuleError::new(&["crontab"], "a crontab is an object of fields");
    let object: &Object = value.as_object().ok_or_else(not_an_object)?;
    let mut fields = CrontabFields::default();
    for (name, value) in object.iter() {
        let path = ["crontab", name.as_str()];
        let Some(field) = fields.field(name) else {
            let names = CrontabFields::default().named().map(|(name, _)| name);
            let message = format!("a crontab has the fields {}", names.join(", "));
            return Err(RuleError::new(&path, message));
        };
        *field = match value.as_i64() {
            Some(number) => number.to_string(),
            None => text(value, &path)?,
        };
    }
    Ok(fields)
}

fn text(value: &Json, path: &[&str]) -> Result<String, RuleError> {
    let text = value.as_str();
    let text = text.ok_or_else(|| RuleError::new(path, "the value is not a text"))?;
    if text.len() > MAX_TEXT {
        let message = format!("the text is longer than {MAX_TEXT} bytes");
        return Err(RuleError::new(path, message));
    }
    Ok(text.to_owned())
}

/// Seconds as milliseconds, rounded to the nearest.
fn interval(value: &Json) -> Result<u64, RuleError> {
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite());
    let not_a_number = || RuleError::new(&["every"], "the value is not a number of seconds");
    let seconds = seconds.ok_or_else(not_a_number)?;
    // A cast to an integer saturates, so that a negative number is 0 and too short.
    let every = (seconds * 1_000.0).round() as u64;
    check_interval(every)?;
    Ok(every)
}

/// Milliseconds as seconds: an integer if the number is whole.
fn seconds(every: u64) -> Json {
    match every % 1_000 {
        0 => Json::from(every / 1_000),
        _ => Json::from(every as f64 / 1_000.0),
    }
}

fn time(value: &Json, key: &str) -> Result<u64, RuleError> {
    let time = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let time = time.ok_or_else(|| {
        let message = "the value is not a time with an offset, such as 2026-12-01T09:00:00+01:00";
        RuleError::new(&[key], message)
    })?;
    let before_1970 = |_| RuleError::new(&[key], "the time is before the year 1970");
    u64::try_from(time.as_millisecond()).map_err(before_1970)
}

/// The text of a time in UTC. A time after the year 9999 becomes the last time of that year that jiff knows.
fn written(at: u64) -> Json {
    let at = i64::try_from(at).ok();
    let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
    Json::from(at.unwrap_or(Timestamp::MAX).to_string())
}
