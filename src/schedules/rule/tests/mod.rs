use super::*;

mod daylight;
mod forms;
mod reference;
mod walk;

/// Milliseconds since the Unix epoch of a time of RFC 3339.
fn ms(text: &str) -> u64 {
    let time: jiff::Timestamp = text.parse().unwrap();
    time.as_millisecond().try_into().unwrap()
}

fn cron(line: &str, timezone: &str) -> Rule {
    Rule::parse(&Spec::Cron(line.to_owned()), timezone).unwrap()
}

/// A crontab of fields in Celery's order: minute, hour, day of the week, day of the month, month.
fn fields(texts: [&str; 5]) -> CrontabFields {
    let [minute, hour, day_of_week, day_of_month, month_of_year] = texts.map(str::to_owned);
    CrontabFields {
        minute,
        hour,
        day_of_week,
        day_of_month,
        month_of_year,
    }
}

fn crontab(texts: [&str; 5], timezone: &str) -> Rule {
    Rule::parse(&Spec::Crontab(fields(texts)), timezone).unwrap()
}

/// The first times after a time, in UTC.
fn times(rule: &Rule, after: &str, count: usize) -> Vec<String> {
    let written = |at: u64| {
        jiff::Timestamp::from_millisecond(at as i64)
            .unwrap()
            .to_string()
    };
    rule.iter(ms(after)).take(count).map(written).collect()
}
