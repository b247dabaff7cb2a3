//! The fields of Celery's `crontab`, read as `celery.schedules.crontab_parser` reads them.
//!
//! The parser accepts and refuses the same texts as Celery's, also where Celery is lenient: an expression is
//! read from its beginning, and what follows a whole expression is ignored (`1-5-7` is `1-5`), and a name
//! counts by its first three letters (`mon/2` is Monday). One difference: digits other than ASCII's are
//! refused.

use super::RuleError;
use super::calendar::{Calendar, Days};
use super::spec::CrontabFields;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The least and the greatest number of a field.
#[derive(Clone, Copy)]
struct Range {
    least: u32,
    most: u32,
}

/// Reads all fields of a crontab.
pub fn parse(fields: &CrontabFields) -> Result<Calendar, RuleError> {
    let field = |name, text: &str, least, most| {
        let read = Range { least, most }.read(text);
        read.map_err(|message| RuleError::new(&["crontab", name], message))
    };
    let minutes = field("minute", &fields.minute, 0, 59)?;
    let hours = field("hour", &fields.hour, 0, 23)?;
    let of_week = field("day_of_week", &fields.day_of_week, 0, 6)?;
    let of_month = field("day_of_month", &fields.day_of_month, 1, 31)?;
    let months = field("month_of_year", &fields.month_of_year, 1, 12)?;
    let days = Days::new(|_, day, weekday| of_month >> day & of_week >> weekday & 1 == 1);
    let repeats = fields.minute.contains('*');
    let calendar = Calendar::new(minutes, hours as u32, days, months as u16, repeats);
    // Each day of a month falls on each day of the week in some year, so only the month can be too short.
    calendar.ok_or_else(|| {
        let message = format!(
            "Invalid crontab: day_of_month '{}' never occurs in month_of_year '{}'",
            fields.day_of_month, fields.month_of_year
        );
        RuleError::new(&["crontab", "day_of_month"], message)
    })
}

impl Range {
    /// The numbers of a field, as bits.
    fn read(self, field: &str) -> Result<u64, String> {
        let mut all = 0;
        for part in field.split(',') {
            if part.is_empty() {
                return Err("empty part".to_owned());
            }
            for number in self.part(part)? {
                all |= 1 << number;
            }
        }
        Ok(all)
    }

    /// The numbers of one part of a list, in the order in which a step skips them.
    fn part(self, part: &str) -> Result<Vec<u32>, String> {
        if let Some((first, rest)) = word(part)
            && let Some((last, rest)) = rest.strip_prefix('-').and_then(word)
        {
            let numbers = self.between(self.number(first)?, self.number(last)?);
            return match rest.strip_prefix('/') {
                Some(rest) => stepped(numbers, rest),
                None => Ok(numbers),
            };
        }
        let all = (self.least..=self.most).collect();
        if let Some(rest) = part.strip_prefix("*/") {
            return stepped(all, rest);
        }
        // Python's `$` matches before a final line break.
        if part == "*" || part == "*\n" {
            return Ok(all);
        }
        Ok(vec![self.number(part)?])
    }

    /// The numbers from the first to the last, around the end of the range if the last is less.
    fn between(self, first: u32, last: u32) -> Vec<u32> {
        if last < first {
            (first..=self.most).chain(self.least..=last).collect()
        } else {
            (first..=last).collect()
        }
    }

    fn number(self, text: &str) -> Result<u32, String> {
        if text.starts_with('-') {
            return Err("negative numbers not supported".to_owned());
        }
        let number = integer(text).or_else(|| named(text).map(i64::from));
        let number = number.ok_or_else(|| {
            format!("'{text}' is not a number and not the name of a weekday or a month")
        })?;
        if number > i64::from(self.most) {
            return Err(format!("Invalid end range: {number} > {}", self.most));
        }
        if number < i64::from(self.least) {
            return Err(format!(
                "Invalid beginning range: {number} < {}",
                self.least
            ));
        }
        u32::try_from(number).map_err(|error| error.to_string())
    }
}

/// Every n-th number, from the first. `rest` begins with n.
fn stepped(numbers: Vec<u32>, rest: &str) -> Result<Vec<u32>, String> {
    let (step, _) = word(rest).ok_or("empty filter")?;
    let step = integer(step).ok_or_else(|| format!("the step '{step}' is not a number"))?;
    if step == 0 {
        return Err("the step is zero".to_owned());
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    Ok(numbers.into_iter().step_by(step).collect())
}

/// Splits off the characters at the beginning that Python's `\w` matches, if there are any.
fn word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (!word.is_empty()).then_some((word, rest))
}

/// Reads a number as Python's `int` does: white space around it, a sign, and single underscores between
/// digits. Greater numbers than the type has become the greatest.
fn integer(text: &str) -> Option<i64> {
    let is_space = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    let text = text.trim_matches(is_space);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let groups = digits.split('_');
    let mut value: i64 = 0;
    for group in groups {
        if group.is_empty() {
            return None;
        }
        for digit in group.chars() {
            let digit = i64::from(digit.to_digit(10)?);
            value = value.saturating_mul(10).saturating_add(digit);
        }
    }
    Some(sign * value)
}

/// The number of the month or, if there is no such month, of the weekday whose name begins as the text does.
fn named(text: &str) -> Option<u8> {
    let name: String = text.chars().take(3).flat_map(char::to_lowercase).collect();
    let position = |names: &[&str]| names.iter().position(|known| *known == name);
    let month = position(&MONTHS).map(|month| month + 1);
    let found = month.or_else(|| position(&WEEKDAYS))?;
    u8::try_from(found).ok()
}
