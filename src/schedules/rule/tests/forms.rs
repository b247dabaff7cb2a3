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

#[test]
fn a_spec_is_read_from_what_it_writes() {
    let texts = [
        r#"{"crontab": {"minute": "*/5", "hour": 8, "day_of_week": "mon-fri"}}"#,
        r#"{"cron": "0 9 * * MON#1"}"#,
        r#"{"every": 30}"#,
        r#"{"every": 1.5, "start": "2026-12-01T09:00:00.250+01:00"}"#,
        r#"{"at": "2026-12-01T09:00:00+01:00"}"#,
    ];
    for text in texts {
        let spec = spec(text).unwrap();
        assert_eq!(Spec::from_json(&spec.to_json()).unwrap(), spec, "{text}");
        let stored = serde_json::to_string(&spec).unwrap();
        assert_eq!(
            serde_json::from_str::<Spec>(&stored).unwrap(),
            spec,
            "{text}"
        );
    }
    let shown = |text: &str| serde_json::to_string(&spec(text).unwrap()).unwrap();
    assert_eq!(shown(r#"{"every": 30.0}"#), r#"{"every":30}"#);
    assert_eq!(
        shown(r#"{"every": 1.5, "start": "1970-01-01T01:00:00+01:00"}"#),
        r#"{"every":1.5,"start":"1970-01-01T00:00:00Z"}"#
    );
    assert_eq!(
        shown(r#"{"crontab": {"hour": 8}}"#),
        concat!(
            r#"{"crontab":{"minute":"*","hour":"8","day_of_week":"*","#,
            r#""day_of_month":"*","month_of_year":"*"}}"#
        )
    );
}

#[test]
fn an_error_names_the_field() {
    let cases: [(&str, &[&str], &str); 28] = [
        ("5", &[], "a rule is an object with one of the keys"),
        ("{}", &[], "a rule is an object with one of the keys"),
        (r#"{"every": 5, "cron": "@daily"}"#, &[], "one of the keys"),
        (
            r#"{"cron": "@daily", "start": 1}"#,
            &["start"],
            "the form \"cron\"",
        ),
        (r#"{"crontab": []}"#, &["crontab"], "an object of fields"),
        (
            r#"{"crontab": {"minutes": 1}}"#,
            &["crontab", "minutes"],
            "minute, hour, day_of_week",
        ),
        (
            r#"{"crontab": {"hour": 1.5}}"#,
            &["crontab", "hour"],
            "not a text",
        ),
        (
            r#"{"crontab": {"minute": 60}}"#,
            &["crontab", "minute"],
            "Invalid end range: 60 > 59",
        ),
        (
            r#"{"crontab": {"hour": -1}}"#,
            &["crontab", "hour"],
            "negative numbers not supported",
        ),
        (
            r#"{"crontab": {"day_of_week": 7}}"#,
            &["crontab", "day_of_week"],
            "Invalid end range: 7 > 6",
        ),
        (
            r#"{"crontab": {"day_of_month": 0}}"#,
            &["crontab", "day_of_month"],
            "Invalid beginning range: 0 < 1",
        ),
        (
            r#"{"crontab": {"minute": "5/15"}}"#,
            &["crontab", "minute"],
            "'5/15' is not a number",
        ),
        (
            r#"{"crontab": {"minute": "*/0"}}"#,
            &["crontab", "minute"],
            "the step is zero",
        ),
        (
            r#"{"crontab": {"month_of_year": "1,,2"}}"#,
            &["crontab", "month_of_year"],
            "empty part",
        ),
        (r#"{"cron": 5}"#, &["cron"], "not a text"),
        (r#"{"cron": "* * * *"}"#, &["cron"], "five fields"),
        (r#"{"cron": "0 * * * * *"}"#, &["cron"], "five fields"),
        (
            r#"{"cron": "@reboot"}"#,
            &["cron"],
            "the named lines are @yearly",
        ),
        (
            r#"{"cron": "60 * * * *"}"#,
            &["cron"],
            "minute \"60\": Number out of bounds",
        ),
        (
            r#"{"cron": "MON * * * *"}"#,
            &["cron"],
            "minute \"MON\": 'M' does not belong here",
        ),
        (
            r#"{"cron": "0 0 * MON *"}"#,
            &["cron"],
            "month \"MON\": 'M' does not belong here",
        ),
        (
            r#"{"cron": "0 0 15W2 * *"}"#,
            &["cron"],
            "W stands after its day",
        ),
        (r#"{"cron": "0 0 * * L"}"#, &["cron"], "L needs a day"),
        (r#"{"every": "5"}"#, &["every"], "not a number of seconds"),
        (r#"{"every": 0.9}"#, &["every"], "at least 1 second"),
        (r#"{"every": 1e300}"#, &["every"], "100 years"),
        (
            r#"{"every": 5, "start": "2026-12-01T09:00:00"}"#,
            &["start"],
            "a time with an offset",
        ),
        (
            r#"{"at": "1969-12-01T09:00:00Z"}"#,
            &["at"],
            "before the year 1970",
        ),
    ];
    for (text, path, message) in cases {
        let error = rule(text).unwrap_err();
        assert_eq!(error.path, path, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
    for name in ["", "Berlin", "Europe/Berlin ", "../UTC", "+01:00"] {
        let error = Rule::parse(&Spec::At(0), name).unwrap_err();
        assert_eq!(error.path, ["timezone"], "{name}");
    }
    assert!(Rule::parse(&Spec::At(0), "europe/berlin").is_ok());
}

#[test]
fn next_is_total() {
    let rules = [
        rule(r#"{"every": 1}"#).unwrap(),
        rule(r#"{"cron": "* * * * *"}"#).unwrap(),
        rule(r#"{"at": "9999-12-01T09:00:00Z"}"#).unwrap(),
        cron("0 0 29 2 *", "Pacific/Kiritimati"),
        cron("0 0 29 2 *", "America/New_York"),
    ];
    let last = ms("9999-12-30T00:00:00Z");
    for rule in &rules {
        for after in [
            0,
            1,
            last - 1,
            last,
            last + 90_000_000,
            u64::MAX / 1_000,
            u64::MAX - 1,
            u64::MAX,
        ] {
            let next = rule.next(after);
            assert!(
                next.is_none_or(|next| next > after),
                "{rule:?} after {after}"
            );
        }
        assert_eq!(rule.next(u64::MAX), None);
    }
    assert_eq!(rules[2].next(last), None);
    let past = Rule::parse(&Spec::At(5), "UTC").unwrap();
    assert_eq!((past.next(4), past.next(5)), (Some(5), None));
}

#[test]
fn no_text_panics() {
    let scraps = [
        "*",
        "/",
        "-",
        ",",
        " ",
        "0",
        "7",
        "59",
        "99999999999",
        "L",
        "W",
        "#",
        "?",
        "MON",
        "-SUN",
        "@",
        "é",
        "\n",
        "_",
        "+",
    ];
    let mut random = fastrand::Rng::with_seed(3);
    let mut text = || -> String {
        let count = random.usize(0..12);
        (0..count)
            .map(|_| scraps[random.usize(..scraps.len())])
            .collect()
    };
    for _ in 0..2_000 {
        let line = [text(), text(), text(), text(), text()];
        let _ = Rule::parse(&Spec::Cron(line.join(" ")), "UTC").map(|rule| rule.next(0));
        let _ = Rule::parse(
            &Spec::Crontab(fields(line.each_ref().map(String::as_str))),
            "UTC",
        );
        let _ = Rule::parse(&Spec::Cron(text()), "UTC").map(|rule| rule.next(u64::MAX / 2));
    }
}
