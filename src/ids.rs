//! Ids of items and users: integers that order by time and that need no counter.
//!
//! An id is the milliseconds since 2025 followed by 12 random bits. It stays below 2^53, the
//! largest range of integers that JavaScript's numbers hold exactly, until the year 2094. Two
//! writers in the same millisecond meet with a chance of 1 in 4,096; the store's conditional
//! write notices, and the loser takes another id.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// 2025-01-01T00:00:00Z in milliseconds since the Unix epoch.
const EPOCH_MS: u64 = 1_735_689_600_000;
const RANDOM_BITS: u32 = 12;
/// JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_ID: u64 = (1 << 53) - 1;

/// An id that nobody has yet, with all likelihood.
pub fn new_id() -> i64 {
    // The last bits of a version 4 UUID are random ones (RFC 9562, section 5.4).
    compose(now_ms(), Uuid::new_v4().as_u128() as u64)
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    #[cfg(test)]
    if let Some(now) = clock::stopped_at() {
        return now;
    }
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

fn compose(now_ms: u64, random: u64) -> i64 {
    let time = now_ms.saturating_sub(EPOCH_MS) << RANDOM_BITS;
    let id = time | (random & ((1 << RANDOM_BITS) - 1));
    // The mask keeps the cast exact; it cuts nothing before 2094.
    (id & MAX_ID) as i64
}

/// For tests: a clock that stands still until it is set, for the calling thread.
#[cfg(test)]
pub(crate) mod clock {
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Stops the clock at this time, in milliseconds since the Unix epoch.
    pub fn set(now: u64) {
        NOW.set(Some(now));
    }

    /// The time that the clock stands at, if it is stopped.
    pub fn stopped_at() -> Option<u64> {
        NOW.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_time() {
        assert!(compose(EPOCH_MS + 1, u64::MAX) < compose(EPOCH_MS + 2, 0));
    }

    #[test]
    fn ids_are_safe_in_javascript_until_2094() {
        let year_2094 = 3_913_056_000_000;
        let last = compose(year_2094, u64::MAX);
        assert!(last as u64 <= MAX_ID);
        assert!(last > compose(year_2094 - 1, u64::MAX));
        assert!(new_id() > 0);
    }
}
