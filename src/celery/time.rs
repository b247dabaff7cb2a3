//! Times as Celery writes and reads them: ISO 8601 texts.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// Reads a time, and rounds it up to milliseconds since the Unix epoch; a time before the epoch is 0. Any
/// offset is read, and a time without an offset is in UTC, as a worker with the default time zone reads
/// it. `None` for a text that is not a time.
pub fn parse(text: &str) -> Option<u64> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.time().unwrap_or(Time::midnight());
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let at = offset.to_timestamp(pieces.date().to_datetime(time)).ok()?;
    // Rounded up, so that no task starts before its eta.
    let up = i64::from(at.subsec_nanosecond() % 1_000_000 > 0);
    let since = at.as_nanosecond().div_euclid(1_000_000);
    u64::try_from(since).map_or(Some(0), |since| Some(since + up as u64))
}

/// Writes a time in UTC as Python's `isoformat`: with microseconds unless they are zero, and with the
/// offset `+00:00`. `None` for a time after the year 9999. `at` is in milliseconds since the Unix epoch.
pub fn format(at: u64) -> Option<String> {
    let at = Timestamp::from_millisecond(i64::try_from(at).ok()?).ok()?;
    let form = match at.subsec_nanosecond() {
        0 => "%Y-%m-%dT%H:%M:%S+00:00",
        _ => "%Y-%m-%dT%H:%M:%S.%6f+00:00",
    };
    Some(at.strftime(form).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_time_is_read() {
        let at = 1_704_164_645_679;
        let forms = [
            "2024-01-02T03:04:05.678901+00:00",
            "2024-01-02T03:04:05.678901Z",
            "2024-01-02T03:04:05.678901",
            "2024-01-02 03:04:05.678901",
            "2024-01-02T08:34:05.678901+05:30",
            "2024-01-01T22:04:05.678901-0500",
            "2024-01-02T03:04:05.679",
        ];
        for form in forms {
            assert_eq!(parse(form), Some(at), "{form}");
        }
        assert_eq!(parse("2024-01-02"), Some(1_704_153_600_000));
        assert_eq!(parse("2024-01-02T03:04"), Some(1_704_164_640_000));
        assert_eq!(
            parse("2024-01-02T04:28:05+01:24"),
            parse("2024-01-02T03:04:05")
        );
        assert_eq!(parse("1950-01-01T00:00:00.5"), Some(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "5",
            "2024-13-01",
            "2024-01-02T25:00",
            "1e9",
            "\u{0}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_written_time_is_read_as_the_same_time() {
        assert_eq!(format(0).as_deref(), Some("1970-01-01T00:00:00+00:00"));
        let text = format(1_704_164_645_679).unwrap();
        assert_eq!(text, "2024-01-02T03:04:05.679000+00:00");
        assert_eq!(parse(&text), Some(1_704_164_645_679));
        assert_eq!(format(u64::MAX), None);
    }
}
