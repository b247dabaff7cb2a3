//! The wall clock: the present time in milliseconds since the Unix epoch.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    #[cfg(test)]
    if let Some(now) = stopped::at() {
        return now;
    }
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// For tests: a clock that stands still for the calling thread until the test sets it.
#[cfg(test)]
pub(crate) mod stopped {
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Stops the calling thread's clock at this time, in milliseconds since the Unix epoch.
    pub fn set(now: u64) {
        NOW.set(Some(now));
    }

    /// The time of a stopped clock.
    pub fn at() -> Option<u64> {
        NOW.get()
    }
}
