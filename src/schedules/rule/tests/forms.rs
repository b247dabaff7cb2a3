//! The four forms of a rule: their JSON, what they refuse, and their next times.

use super::*;
use crate::json::parse_str;

fn spec(text: &str) -> Result<Spec, RuleError> {
    Spec::from_json(&parse_str(text).unwrap())
}

fn rule(text: &str) -> Result<Rule, RuleError> {
    Rule::parse(&spec(text)?, "UTC")
}

#[test]
fn each_form_has_its_next_times() {
    let cases: [(&str, &str, &[&str]); 9] = [
        (
            r#"{"crontab": {"minute": "*/15", "hour": "8-18"}}"#,
            "2026-11-26T18:44:59.999Z",
            &["2026-11-26T18:45:00Z", "2026-11-27T08:00:00Z"],
        ),
        (
            r#"{"crontab": {"minute": 0, "hour": "22-1", "day_of_week": "fri-sun"}}"#,
            "2026-11-29T23:30:00Z",
            &["2026-12-04T00:00:00Z", "2026-12-04T01:00:00Z"],
        ),
        (
            r#"{"crontab": {"minute": 0, "hour": 0, "day_of_week": 5, "day_of_month": 13}}"#,
            "2026-11-26T00:00:00Z",
            &["2027-08-13T00:00:00Z", "2028-10-13T00:00:00Z"],
        ),
        (
            r#"{"cron": "0 9 * * MON#1"}"#,
            "2026-11-26T00:00:00Z",
            &["2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"],
        ),
        (
            r#"{"cron": "30 6 lw * *"}"#,
            "2026-11-26T00:00:00Z",
            &["2026-11-30T06:30:00Z", "2026-12-31T06:30:00Z"],
        ),
        (
            r#"{"cron": "@midnight"}"#,
            "2026-11-26T00:00:00Z",
            &["2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"],
        ),
        (
            r#"{"every": 1.5, "start": "2026-11-26T00:00:00Z"}"#,
            "2026-11-26T00:00:01.500Z",
            &["2026-11-26T00:00:03Z", "2026-11-26T00:00:04.5Z"],
        ),
        (
            r#"{"every": 3600, "start": "2026-11-26T10:00:00Z"}"#,
            "2026-11-25T00:00:00Z",
            &["2026-11-26T10:00:00Z", "2026-11-26T11:00:00Z"],
        ),
        (
            r#"{"at": "2026-12-01T09:00:00+01:00"}"#,
            "2026-11-25T00:00:00Z",
            &["2026-12-01T08:00:00Z"],
        ),
    ];
    for (text, after, expected) in cases {
        assert_eq!(times(&rule(text).unwrap(), after, 2), expected, "{text}");
    }
}

#[test]
fn what_never_fires_is_refused() {
    let february_30 = fields(["0", "0", "*", "30-31", "feb"]);
    let error = Rule::parse(&Spec::Crontab(february_30), "UTC").unwrap_err();
    assert_eq!(error.path, ["crontab", "day_of_month"]);
    assert_eq!(
        error.message,
        "Invalid crontab: day_of_month '30-31' never occurs in month_of_year 'feb'"
    );
    for line in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31W 2 *"] {
        let error = rule(&format!(r#"{{"cron": "{line}"}}"#)).unwrap_err();
        assert_eq!(error.path, ["cron"], "{line}");
        assert!(error.message.contains("never fires"), "{line}: {error}");
    }
}

#[test]
fn the_rarest_times_are_found() {
    let leap_monday = crontab(["0", "0", "mon", "29", "feb"], "UTC");
    assert_eq!(
        times(&leap_monday, "2096-01-01T00:00:00Z", 1),
        ["2112-02-29T00:00:00Z"]
    );
    let leap_wednesday = crontab(["0", "0", "wed", "29", "feb"], "Europe/Berlin");
    assert_eq!(
        times(&leap_wednesday, "2080-01-01T00:00:00Z", 1),
        ["2096-02-28T23:00:00Z"]
    );
    let fifth_friday = cron("0 0 * 2 FRI#5", "UTC");
    assert_eq!(
        times(&fifth_friday, "2026-01-01T00:00:00Z", 2),
        ["2036-02-29T00:00:00Z", "2064-02-29T00:00:00Z"]
    );
}
