//! Counts of the functions' calls to AWS, by operation.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The calls of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// The number of calls.
    pub calls: u64,
    /// For a call to the embedded database, its CPU time, which excludes waiting for other calls.
    /// For a forwarded call, the wall time to the answer.
    pub time: Duration,
}

/// Calls by operation, such as `GetItem` and `SendMessage`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, Spent>);

impl Tally {
    /// Counts a call.
    pub fn add(&mut self, operation: &str, time: Duration) {
        // Only the first call of an operation copies the name.
        if !self.0.contains_key(operation) {
            self.0.insert(operation.to_owned(), Spent::default());
        }
        if let Some(spent) = self.0.get_mut(operation) {
            spent.calls += 1;
            spent.time += time;
        }
    }

    /// The calls since an earlier tally.
    #[must_use]
    pub fn since(&self, earlier: &Tally) -> Tally {
        let left = self.0.iter().filter_map(|(operation, spent)| {
            let before = earlier.0.get(operation).copied().unwrap_or_default();
            let calls = spent.calls.saturating_sub(before.calls);
            let time = spent.time.saturating_sub(before.time);
            (calls > 0).then(|| (operation.clone(), Spent { calls, time }))
        });
        Tally(left.collect())
    }

    /// Each operation with calls.
    pub fn operations(&self) -> impl Iterator<Item = (&str, Spent)> {
        self.0.iter().map(|(name, spent)| (name.as_str(), *spent))
    }

    /// The number of all calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.values().map(|spent| spent.calls).sum()
    }

    /// The CPU time of the embedded database.
    #[must_use]
    pub fn database(&self) -> Duration {
        let rows = self.operations().filter(|(name, _)| !is_of_queue(name));
        rows.map(|(_, spent)| spent.time).sum()
    }

    /// The calls to SQS, and the wall time to their answers.
    #[must_use]
    pub fn queue(&self) -> Spent {
        let calls = self.operations().filter(|(name, _)| is_of_queue(name));
        calls.fold(Spent::default(), |sum, (_, spent)| Spent {
            calls: sum.calls + spent.calls,
            time: sum.time + spent.time,
        })
    }
}

/// Whether an operation is one of SQS.
fn is_of_queue(operation: &str) -> bool {
    operation.contains("Message")
}

/// The CPU time of the calling thread, to the nanosecond.
#[must_use]
pub fn thread_time() -> Duration {
    clock(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// The CPU time of this program, including threads that have ended.
#[must_use]
pub fn process_time() -> Duration {
    clock(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Both clocks exist on every system that this program runs on.
fn clock(id: ClockId) -> Duration {
    clock_gettime(id).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn since_has_only_the_calls_after_the_earlier_tally() {
        let mut tally = Tally::default();
        tally.add("GetItem", MS);
        let before = tally.clone();
        tally.add("GetItem", 2 * MS);
        tally.add("SendMessage", 5 * MS);
        let after = tally.since(&before);
        assert_eq!(after.calls(), 2);
        assert_eq!(after.database(), 2 * MS);
        let queue = Spent {
            calls: 1,
            time: 5 * MS,
        };
        assert_eq!(after.queue(), queue);
        assert_eq!(tally.since(&tally), Tally::default());
    }

    #[test]
    fn thread_time_counts_only_the_thread_s_own_work() {
        let (process, thread) = (process_time(), thread_time());
        let mut sum = 0_u64;
        while thread_time() < thread + MS {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(process_time() >= process + MS);
    }
}
