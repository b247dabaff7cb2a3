//! Standard cron lines, read by `croner`.
//!
//! The checks here are stricter than those of `croner`'s parser, which reads a name in any field and passes over
//! empty parts of a list. The parser also fills a set of 9,999 years for each line, which takes most of its
//! time. So the fields go one by one to what is below the parser.

use croner::errors::CronError;
use croner::{CronComponent, CronPattern, Weekday};

use super::RuleError;
use super::calendar::{Calendar, Days};

/// Names, each with its number.
type Names = &'static [(&'static str, &'static str)];
const MONTHS: Names = &[
    ("JAN", "1"),
    ("FEB", "2"),
    ("MAR", "3"),
    ("APR", "4"),
    ("MAY", "5"),
    ("JUN", "6"),
    ("JUL", "7"),
    ("AUG", "8"),
    ("SEP", "9"),
    ("OCT", "10"),
    ("NOV", "11"),
    ("DEC", "12"),
];
/// The Sunday at the end of a range is the last day of a week, so its name comes first.
const WEEKDAYS: Names = &[
    ("-SUN", "-7"),
    ("SUN", "0"),
    ("MON", "1"),
    ("TUE", "2"),
    ("WED", "3"),
    ("THU", "4"),
    ("FRI", "5"),
    ("SAT", "6"),
];
/// The fields of a line: the name for people, the characters that a field may have besides those that all
/// have, and the names of numbers.
const FIELDS: [(&str, &str, Names); 5] = [
    ("minute", "", &[]),
    ("hour", "", &[]),
    ("day of the month", "LW?", &[]),
    ("month", "", MONTHS),
    ("day of the week", "L#?", WEEKDAYS),
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
    let pattern = pattern(&fields).map_err(error)?;
    let (minutes, hours) = (bits(&pattern.minutes), bits(&pattern.hours) as u32);
    let (months, repeats) = (bits(&pattern.months) as u16, fields[0].contains('*'));
    let calendar = Calendar::new(minutes, hours, days(&pattern), months, repeats);
    calendar.ok_or_else(|| error("the rule never fires: no such day is in these months".to_owned()))
}

/// Reads the fields. A day matches if it is in the days of the month or in the days of the week. So, of two
/// day fields of which one is `*`, the days of that one stay empty.
fn pattern(fields: &[&str; 5]) -> Result<CronPattern, String> {
    let is_all = |field: &str| field == "*" || field == "?";
    let [_, _, day, _, weekday] = fields.map(is_all);
    let mut pattern = CronPattern::new("");
    let components = [
        (&mut pattern.minutes, true),
        (&mut pattern.hours, true),
        (&mut pattern.days, !day || weekday),
        (&mut pattern.months, true),
        (&mut pattern.days_of_week, !weekday),
    ];
    for (at, (component, counts)) in components.into_iter().enumerate() {
        let numbers = numbers(at, fields[at])?;
        if counts {
            let read = component.parse(&numbers);
            read.map_err(|error| format!("{} {:?}: {}", FIELDS[at].0, fields[at], reason(error)))?;
        }
    }
    sunday_is_0(&mut pattern.days_of_week).map_err(reason)?;
    Ok(pattern)
}

/// Moves what is said of day 7 to day 0: the day itself, and the day with `#` or `L`, which have bits of
/// their own.
fn sunday_is_0(weekdays: &mut CronComponent) -> Result<(), CronError> {
    for bit in (0..7).map(|place| 1 << place) {
        if weekdays.is_bit_set(7, bit)? {
            weekdays.unset_bit(7, bit)?;
            weekdays.set_bit(0, bit)?;
        }
    }
    Ok(())
}

fn reason(error: CronError) -> String {
    match error {
        CronError::ComponentError(reason) => reason.trim_end_matches('.').to_owned(),
        other => other.to_string(),
    }
}

fn expected(line: &str) -> String {
    if line.starts_with('@') {
        let names = LINES.map(|(name, _)| name.to_ascii_lowercase()).join(", ");
        return format!("the named lines are {names}");
    }
    "a cron line has five fields: minute, hour, day of the month, month, day of the week".to_owned()
}

/// The field with numbers in place of names. Refuses what `croner` passes over.
fn numbers(at: usize, field: &str) -> Result<String, String> {
    let (name, letters, names) = FIELDS[at];
    let message = |reason: &str| format!("{name} {field:?}: {reason}");
    if field.split(',').any(str::is_empty) {
        return Err(message("a list has an empty part"));
    }
    if name == "day of the week" && field.split(',').any(|part| part == "L") {
        return Err(message("L needs a day: 5L is the last Friday of a month"));
    }
    let numbers = |text: String, (name, number): &(&str, &str)| text.replace(name, number);
    let field = names.iter().fold(field.to_owned(), numbers);
    let known = |c: char| c.is_ascii_digit() || "*/,-".contains(c) || letters.contains(c);
    if let Some(unknown) = field.chars().find(|c| !known(*c)) {
        return Err(message(&format!("{unknown:?} does not belong here")));
    }
    if field
        .split(',')
        .any(|part| part.contains('W') && !part.ends_with('W'))
    {
        return Err(message("W stands after its day, as in 15W"));
    }
    Ok(field.replace('?', "*"))
}

fn bits(field: &CronComponent) -> u64 {
    field
        .values()
        .into_iter()
        .fold(0, |bits, value| bits | (1 << value))
}

fn days(pattern: &CronPattern) -> Days {
    let (of_month, of_week) = (bits(&pattern.days), bits(&pattern.days_of_week));
    let has_letters = pattern.days.has_modifiers() || pattern.days_of_week.has_modifiers();
    Days::new(|length, day, weekday| {
        let is_plain = (of_month >> day | of_week >> weekday) & 1 == 1;
        // To ask `croner` for each day takes longer than all the rest.
        is_plain || (has_letters && matches(pattern, length, day, weekday))
    })
}

fn matches(pattern: &CronPattern, length: u32, day: u32, weekday: u32) -> bool {
    // Any month of this length: `croner` looks at nothing else of the year and the month.
    let (year, month) = match length {
        28 => (2023, 2),
        29 => (2024, 2),
        30 => (2024, 4),
        _ => (2024, 1),
    };
    let weekday = Weekday::from_days_from_sunday(weekday);
    let matches = pattern.day_match(year, month, day, weekday);
    matches.unwrap_or(false)
}
