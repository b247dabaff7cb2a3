//! Numbers of tasks: what ended in which state, retries, waits and run times, by job and minute.
//!
//! Whoever ends tasks adds to [`Counts`] and writes them by one `ADD` for many tasks ([`CountStore::add`]): the
//! worker one for each batch. A row holds one minute of one shard, and expires. The ticker adds finished minutes to
//! one row of totals, so that the totals of all time are a bounded number of reads ([`CountStore::totals`]).
//!
//! The numbers never exceed the truth. They miss what a process had not yet written when it died, and what a
//! failed write held: at most one batch each time. The records of tasks miss nothing.

mod histogram;
mod row;
mod store;

pub use histogram::{BOUNDS, Histogram};
pub use store::{CountStore, minute_of};

use std::collections::{BTreeMap, BTreeSet};

use super::state::State;

/// The name that stands for all jobs beyond [`MAX_JOBS`] of one row.
pub const OTHER_JOBS: &str = "other";
/// The most jobs of a row, [`OTHER_JOBS`] included. Names of jobs may come from outside, and a row must stay below
/// DynamoDB's 400 KB: a job takes at most 4.2 KB.
pub const MAX_JOBS: usize = 90;

/// Numbers by job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By the name of the job.
    pub jobs: BTreeMap<String, JobCounts>,
}

/// The numbers of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// The number of runs that ended in a state; see [`JobCounts::ended`].
    ended: BTreeMap<Ended, u64>,
    /// The number of attempts that another attempt follows.
    pub retries: u64,
    /// The times from when a task was due to its first attempt.
    pub wait: Histogram,
    /// The times of attempts.
    pub run: Histogram,
}

/// A final state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    Completed,
    Failed,
    Cancelled,
    Expired,
    Moved,
}

impl Ended {
    const ALL: [Ended; 5] = [
        Ended::Completed,
        Ended::Failed,
        Ended::Cancelled,
        Ended::Expired,
        Ended::Moved,
    ];

    fn of(state: State) -> Option<Ended> {
        Some(match state {
            State::Completed => Ended::Completed,
            State::Failed => Ended::Failed,
            State::Cancelled => Ended::Cancelled,
            State::Expired => Ended::Expired,
            State::Moved => Ended::Moved,
            State::Scheduled | State::Pending | State::Running | State::Retrying => return None,
        })
    }
}

impl Counts {
    /// The numbers of a job, to add to.
    pub fn of(&mut self, job: &str) -> &mut JobCounts {
        self.jobs.entry(job.to_owned()).or_default()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Adds other numbers.
    pub fn merge(&mut self, other: &Counts) {
        for (job, counts) in &other.jobs {
            self.of(job).merge(counts);
        }
    }

    /// All jobs together.
    pub fn sum(&self) -> JobCounts {
        let mut sum = JobCounts::default();
        self.jobs.values().for_each(|counts| sum.merge(counts));
        sum
    }

    /// The numbers for a row that has the jobs `known` and room for `room` more: further jobs are counted as
    /// [`OTHER_JOBS`].
    fn within(self, known: &BTreeSet<String>, mut room: usize) -> Counts {
        let mut within = Counts::default();
        for (job, counts) in self.jobs {
            let is_known = known.contains(&job);
            let has_place = is_known || room > 0;
            if has_place && !is_known {
                room -= 1;
            }
            let job = if has_place { job.as_str() } else { OTHER_JOBS };
            within.of(job).merge(&counts);
        }
        within
    }
}

impl JobCounts {
    /// The number of runs that ended in this state; 0 for a state that is not final.
    pub fn ended(&self, state: State) -> u64 {
        let ended = Ended::of(state).and_then(|ended| self.ended.get(&ended));
        ended.copied().unwrap_or(0)
    }

    /// Counts a task that entered a state: an end or, for [`State::Retrying`], a retry.
    pub fn entered(&mut self, state: State) {
        match Ended::of(state) {
            Some(ended) => self.add_ended(ended, 1),
            None if state == State::Retrying => self.retries += 1,
            None => {}
        }
    }

    fn add_ended(&mut self, ended: Ended, count: u64) {
        let sum = self.ended.entry(ended).or_default();
        *sum = sum.saturating_add(count);
    }

    fn merge(&mut self, other: &JobCounts) {
        for (ended, count) in &other.ended {
            self.add_ended(*ended, *count);
        }
        self.retries = self.retries.saturating_add(other.retries);
        self.wait.merge(&other.wait);
        self.run.merge(&other.run);
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
