//! Local times that match the fields of a cron rule, without any time zone.

use jiff::civil::{Date, DateTime, Time};

/// The number of months in which [`Calendar::next`] searches: a little over 40 years. A leap day that must be
/// a certain day of the week is the rarest time. Such a day comes every 28 years, or after 40 years if a
/// year without a leap day, such as 2100, lies between.
const MONTHS: usize = 12 * 41;
/// The number of days in the shortest month.
const SHORTEST: u32 = 28;

/// The minutes, hours, days and months of a rule.
#[derive(Debug, Clone)]
pub struct Calendar {
    minutes: u64,
    hours: u32,
    days: Days,
    months: u16,
    repeats: bool,
}

/// The matching days of each kind of month, as bits from 1. A month's kind is the number of its days (from
/// 28) and the weekday of its first day (from Sunday).
#[derive(Debug, Clone)]
pub struct Days([[u32; 7]; 4]);

impl Days {
    /// Asks for each day of each kind of month whether the day matches: `matches(length, day, weekday)`, where
    /// Sunday is 0.
    pub fn new(matches: impl Fn(u32, u32, u32) -> bool) -> Days {
        let mut all = [[0; 7]; 4];
        for (length, kinds) in (SHORTEST..).zip(&mut all) {
            for (first, days) in (0..).zip(kinds) {
                let matching =
                    (1..=length).filter(|day| matches(length, *day, (first + day - 1) % 7));
                *days = matching.fold(0, |bits, day| bits | (1 << day));
            }
        }
        Days(all)
    }

    /// The matching days of the month that begins on `first`.
    fn of_month(&self, first: Date) -> u32 {
        let length = first.days_in_month() as u32 - SHORTEST;
        let weekday = first.weekday().to_sunday_zero_offset();
        self.0[length as usize][weekday as usize]
    }
}

impl Calendar {
    /// A calendar of sets of bits: bit 0 is minute 0 and hour 0, bit 1 is January. `repeats` says whether
    /// the field of the minutes has a `*`. `None` if no time ever matches.
    pub fn new(
        minutes: u64,
        hours: u32,
        days: Days,
        months: u16,
        repeats: bool,
    ) -> Option<Calendar> {
        let calendar = Calendar {
            minutes,
            hours,
            days,
            months,
            repeats,
        };
        // The 28 years from 2000 have each month in each of its kinds.
        let first = Date::constant(2000, 1, 1).to_datetime(Time::midnight());
        calendar.next(first).is_some().then_some(calendar)
    }

    /// Whether the rule fires in each hour of a day.
    pub fn is_hourly(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// Whether the rule follows the running clock: the rule fires in each hour of a day, or repeats within
    /// an hour.
    pub fn is_running(&self) -> bool {
        self.repeats || self.is_hourly()
    }

    /// The first matching minute that is not before `from`. `None` if the years end first.
    pub fn next(&self, from: DateTime) -> Option<DateTime> {
        let from = whole_minute(from)?;
        let mut month = from.date().first_of_month();
        for _ in 0..MONTHS {
            if self.months & (1 << month.month()) != 0
                && let Some(found) = self.next_in_month(month, from)
            {
                return Some(found);
            }
            month = match month.month() {
                12 => Date::new(month.year().checked_add(1)?, 1, 1).ok()?,
                other => Date::new(month.year(), other + 1, 1).ok()?,
            };
        }
        None
    }

    /// The first matching minute of the month that begins on `first`, not before `from`.
    fn next_in_month(&self, first: Date, from: DateTime) -> Option<DateTime> {
        let mut days = self.days.of_month(first);
        if first.year() == from.year() && first.month() == from.month() {
            days &= u32::MAX << from.day();
        }
        while days != 0 {
            let day = days.trailing_zeros() as i8;
            let date = Date::new(first.year(), first.month(), day).ok()?;
            let earliest = if date == from.date() {
                from.time()
            } else {
                Time::midnight()
            };
            if let Some(time) = self.next_in_day(earliest) {
                return Some(date.to_datetime(time));
            }
            days &= days - 1;
        }
        None
    }

    fn next_in_day(&self, from: Time) -> Option<Time> {
        let hour = from.hour() as u32;
        let later = self.minutes & (u64::MAX << from.minute());
        if self.hours & (1 << hour) != 0 && later != 0 {
            return Time::new(from.hour(), later.trailing_zeros() as i8, 0, 0).ok();
        }
        let hours = self.hours & (u32::MAX << (hour + 1));
        let minute = self.minutes.trailing_zeros() as i8;
        Time::new(hours.trailing_zeros() as i8, minute, 0, 0).ok()
    }
}

/// The first whole minute that is not before `time`.
fn whole_minute(time: DateTime) -> Option<DateTime> {
    let floor = time.date().at(time.hour(), time.minute(), 0, 0);
    if floor == time {
        return Some(time);
    }
    floor.checked_add(jiff::Span::new().minutes(1)).ok()
}
