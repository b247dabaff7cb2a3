//! Standard cron lines, read by `croner`.
//!
//! The checks here are stricter than `croner`'s, which reads a name in any field and passes over empty
//! parts of a list.

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronComponent, Weekday};

use super::RuleError;
use super::calendar::{Calendar, Days};

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// The fields of a line: the name for people, the characters that a field may have besides those that all
/// have, and the names that a field may have.
const FIELDS: [(&str, &str, &[&str]); 5] = [
    ("minute", "", &[]),
    ("hour", "", &[]),
    ("day of the month", "LW?", &[]),
    ("month", "", &MONTHS),
    ("day of the week", "L#?", &WEEKDAYS),
];
/// Names of whole lines, and the lines.
const LINES: [(&str, &str); 7] = [
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@WEEKLY", "0 0 * * 0"),
    ("@DAILY", "0 0 * * *"),
    ("@MIDNIGHT", "0 0 * * *"),
    ("@HOURLY", "0 * * * *"),
];

/// Reads a line of five fields, or the name of a line. The case of letters does not count.
pub fn parse(line: &str) -> Result<Calendar, RuleError> {
    let error = |message: String| RuleError::new(&["cron"], message);
    let line = line.trim().to_ascii_uppercase();
    let named = LINES.iter().find(|(name, _)| *name == line);
    let line = named.map_or(line.as_str(), |(_, line)| line);
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let fields: Result<[&str; 5], _> = fields.try_into();
    let fields = fields.map_err(|_| error(expected(line)))?;
    for (at, field) in fields.iter().enumerate() {
        check(at, field).map_err(error)?;
    }
    let cron = croner(&fields).map_err(|reason| error(culprit(&fields).unwrap_or(reason)))?;
    let pattern = &cron.pattern;
    let (minutes, hours) = (bits(&pattern.minutes), bits(&pattern.hours) as u32);
    let (months, repeats) = (bits(&pattern.months) as u16, fields[0].contains('*'));
    let calendar = Calendar::new(minutes, hours, days(&cron), months, repeats);
    calendar.ok_or_else(|| error("the rule never fires: no such day is in these months".to_owned()))
}

fn expected(line: &str) -> String {
    if line.starts_with('@') {
        let names = LINES.map(|(name, _)| name.to_ascii_lowercase()).join(", ");
        return format!("the named lines are {names}");
    }
    "a cron line has five fields: minute, hour, day of the month, month, day of the week".to_owned()
}

/// The first field that `croner` refuses between fields that are `*`, with its name and the reason.
fn culprit(fields: &[&str; 5]) -> Option<String> {
    FIELDS.iter().enumerate().find_map(|(at, (name, ..))| {
        let mut alone = ["*"; 5];
        alone[at] = fields[at];
        let reason = croner(&alone).err()?;
        Some(format!("{name} {:?}: {reason}", fields[at]))
    })
}

/// Refuses what `croner` passes over in a field.
fn check(at: usize, field: &str) -> Result<(), String> {
    let (name, letters, names) = FIELDS[at];
    let message = |reason: &str| format!("{name} {field:?}: {reason}");
    if field.split(',').any(str::is_empty) {
        return Err(message("a list has an empty part"));
    }
    if name == "day of the week" && field.split(',').any(|part| part == "L") {
        return Err(message("L needs a day: 5L is the last Friday of a month"));
    }
    let rest = names
        .iter()
        .fold(field.to_owned(), |rest, name| rest.replace(name, "0"));
    let known = |c: char| c.is_ascii_digit() || "*/,-".contains(c) || letters.contains(c);
    if let Some(unknown) = rest.chars().find(|c| !known(*c)) {
        return Err(message(&format!("{unknown:?} does not belong here")));
    }
    if rest
        .split(',')
        .any(|part| part.contains('W') && !part.ends_with('W'))
    {
        return Err(message("W stands after its day, as in 15W"));
    }
    Ok(())
}

fn croner(fields: &[&str; 5]) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed);
    let parsed = parser.build().parse(&fields.join(" "));
    parsed.map_err(|error| match error {
        CronError::ComponentError(reason) | CronError::InvalidPattern(reason) => {
            reason.trim_end_matches('.').to_owned()
        }
        other => other.to_string(),
    })
}

fn bits(field: &CronComponent) -> u64 {
    field
        .values()
        .into_iter()
        .fold(0, |bits, value| bits | (1 << value))
}

fn days(cron: &Cron) -> Days {
    Days::new(|length, day, weekday| {
        // Any month of this length: `croner` looks at nothing else of the year and the month.
        let (year, month) = match length {
            28 => (2023, 2),
            29 => (2024, 2),
            30 => (2024, 4),
            _ => (2024, 1),
        };
        let weekday = Weekday::from_days_from_sunday(weekday);
        cron.pattern
            .day_match(year, month, day, weekday)
            .unwrap_or(false)
    })
}
