//! The proxy's observations. Only the proxy knows which writes the table accepted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::call::{About, Call, FINAL, MOVED};
use crate::fault::Fault;

/// Counts calls, and records the writes to each task's record.
#[derive(Debug)]
pub struct Observer {
    started: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    counts: Counts,
    /// The number of received calls, by operation.
    received: HashMap<String, u64>,
    faults: BTreeMap<(Fault, String), u64>,
    /// The final states that the table accepted, in order, by task.
    endings: HashMap<String, Vec<String>>,
    /// All attempted writes to a record, by task, for debugging.
    stories: HashMap<String, Vec<String>>,
    receipts: HashSet<String>,
    /// The transactions that the table accepted. It accepts every try of one, and makes the writes once.
    transactions: HashSet<String>,
}

/// Counts of events.
#[derive(Debug, Default, Clone)]
pub struct Counts {
    /// Calls of the functions, by operation.
    pub calls: BTreeMap<String, u64>,
    /// The SDK's retries of calls, by operation.
    pub tries: BTreeMap<String, u64>,
    /// Writes to records that the table accepted, by kind.
    pub writes: BTreeMap<String, u64>,
    /// Writes to records that the table refused because their condition was false, by kind.
    pub refused: BTreeMap<String, u64>,
    /// Messages whose visibility timeout was changed for the first time under their receipt handle.
    pub new_receipts: u64,
    /// Calls that changed the visibility timeout of messages for the first time.
    pub first_changes: u64,
    /// Calls that changed the visibility timeout of messages again.
    pub later_changes: u64,
    /// Writes to numbers that were made.
    pub numbers: u64,
    /// Writes to numbers that the table may not have got.
    pub lost_numbers: u64,
    /// Accepted ends of tasks of which the function may not have learned.
    pub unanswered_ends: u64,
}

impl Counts {
    /// The number of calls of an operation.
    pub fn calls(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or(0)
    }

    /// The number of accepted writes of a kind.
    pub fn writes(&self, what: &str) -> u64 {
        self.writes.get(what).copied().unwrap_or(0)
    }

    /// The counts since an earlier time.
    pub fn since(&self, before: &Counts) -> Counts {
        let rest = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            now.iter()
                .map(|(name, count)| (name.clone(), count - then.get(name).unwrap_or(&0)))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Counts {
            calls: rest(&self.calls, &before.calls),
            tries: rest(&self.tries, &before.tries),
            writes: rest(&self.writes, &before.writes),
            refused: rest(&self.refused, &before.refused),
            new_receipts: self.new_receipts - before.new_receipts,
            first_changes: self.first_changes - before.first_changes,
            later_changes: self.later_changes - before.later_changes,
            numbers: self.numbers - before.numbers,
            lost_numbers: self.lost_numbers - before.lost_numbers,
            unanswered_ends: self.unanswered_ends - before.unanswered_ends,
        }
    }
}

impl Observer {
    pub fn new() -> Observer {
        Observer {
            started: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Counts a received call. Returns the call's number among those of its operation, from 0.
    pub fn received(&self, call: &Call) -> u64 {
        let mut seen = self.seen();
        let counts = match call.is_first {
            true => &mut seen.counts.calls,
            false => &mut seen.counts.tries,
        };
        *counts.entry(call.operation.clone()).or_default() += 1;
        if matches!(call.about, About::Numbers) {
            seen.counts.numbers += 1;
        }
        if let (About::Messages(receipts), true) = (&call.about, call.is_first) {
            seen.visibility_changed(receipts);
        }
        let count = seen.received.entry(call.operation.clone()).or_default();
        *count += 1;
        *count - 1
    }

    /// Counts a fault.
    pub fn injected(&self, call: &Call, fault: Fault) {
        let mut seen = self.seen();
        let key = (fault, call.operation.clone());
        *seen.faults.entry(key).or_default() += 1;
        match &call.about {
            About::Numbers if !fault.forwards() => seen.counts.lost_numbers += 1,
            About::Record { what, .. } if fault.hides() && FINAL.contains(&what.as_str()) => {
                seen.counts.unanswered_ends += 1;
            }
            _ => {}
        }
        if let About::Record { id, what } = &call.about {
            let line = format!("{} {what}: {}", self.now(), fault.name());
            seen.stories.entry(id.clone()).or_default().push(line);
        }
    }

    /// Records the table's answer to a write.
    pub fn answered(&self, call: &Call, status: u16) {
        let About::Record { id, what } = &call.about else {
            return;
        };
        let line = format!("{} {what}: {status}", self.now());
        let mut seen = self.seen();
        seen.stories.entry(id.clone()).or_default().push(line);
        if status == 400 {
            *seen.counts.refused.entry(what.clone()).or_default() += 1;
        } else if status == 200 && seen.is_new(call) {
            *seen.counts.writes.entry(what.clone()).or_default() += 1;
            if FINAL.contains(&what.as_str()) || what == MOVED {
                let endings = seen.endings.entry(id.clone()).or_default();
                endings.push(what.clone());
            }
        }
    }

    /// All counts so far.
    pub fn counts(&self) -> Counts {
        self.seen().counts.clone()
    }

    /// All faults so far, by fault and operation.
    pub fn faults(&self) -> BTreeMap<(Fault, String), u64> {
        self.seen().faults.clone()
    }

    /// The final states that the table accepted for a task, one for each run.
    pub fn endings(&self, id: &str) -> Vec<String> {
        self.seen().endings.get(id).cloned().unwrap_or_default()
    }

    /// How many of these tasks have ended at least once.
    pub fn ended<'a>(&self, ids: impl Iterator<Item = &'a String>) -> usize {
        let seen = self.seen();
        ids.filter(|id| seen.endings.contains_key(*id)).count()
    }

    /// The attempted writes to a task's record.
    pub fn story(&self, id: &str) -> String {
        let seen = self.seen();
        seen.stories
            .get(id)
            .map_or_else(String::new, |lines| lines.join("\n"))
    }

    fn now(&self) -> String {
        format!("{:9.3} s", self.started.elapsed().as_secs_f64())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether an accepted call has made its writes now, and not at an earlier try.
    fn is_new(&mut self, call: &Call) -> bool {
        call.operation != "TransactWriteItems" || self.transactions.insert(call.invocation.clone())
    }

    fn visibility_changed(&mut self, receipts: &[String]) {
        let new = receipts
            .iter()
            .filter(|receipt| self.receipts.insert((*receipt).clone()));
        let new = new.count() as u64;
        self.counts.new_receipts += new;
        match new {
            0 => self.counts.later_changes += 1,
            _ => self.counts.first_changes += 1,
        }
    }
}
