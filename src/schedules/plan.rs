//! Which times are handed out: a pure function of a schedule and the present time.

use super::rule::Rule;
use super::schedule::{Missed, Schedule};

/// How long before its time a time is handed out, in milliseconds: the minute to the next tick, and the time
/// in which that tick may begin late and reach the schedule.
pub const LEAD: u64 = 75_000;
/// How late a time may be handed out before it counts as missed, in milliseconds.
pub const GRACE: u64 = 60_000;
/// The most missed times that are made up for.
pub const MAX_MADE_UP: usize = 100;
/// The length of the first part of a gap that is searched for the last missed times, in milliseconds.
const FIRST_PART: u64 = 60_000;

/// The times of a schedule, in milliseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub struct Times {
    /// The rule.
    pub rule: Rule,
    /// The first moment at which a time may be.
    pub start: Option<u64>,
    /// The last moment at which a time may be.
    pub end: Option<u64>,
}

/// What a schedule does at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The times to hand out, in order.
    pub claim: Vec<u64>,
    /// The next time after them.
    pub next: Option<u64>,
}

impl Times {
    /// The first time after `after`.
    pub fn next(&self, after: u64) -> Option<u64> {
        let after = match self.start {
            Some(start) => after.max(start.saturating_sub(1)),
            None => after,
        };
        let is_before_end = |at: &u64| self.end.is_none_or(|end| *at <= end);
        self.rule.next(after).filter(is_before_end)
    }

    /// The times after `after`, in order.
    pub fn iter(&self, after: u64) -> impl Iterator<Item = u64> + '_ {
        std::iter::successors(self.next(after), |at| self.next(*at))
    }

    /// The last `most` times from `first` on and before `before`, in order. Only the end of a long gap is
    /// looked at, so that the cost depends on `most` and not on the gap.
    fn last(&self, first: u64, before: u64, most: usize) -> Vec<u64> {
        let mut part = FIRST_PART;
        loop {
            let from = before.saturating_sub(part).max(first);
            let times = self.iter(from.saturating_sub(1));
            let mut found: Vec<u64> = times.take_while(|at| *at < before).collect();
            if found.len() >= most || from == first {
                found.drain(..found.len().saturating_sub(most));
                return found;
            }
            part = part.saturating_mul(2);
        }
    }
}

impl Schedule {
    /// What the schedule does at the time `now`; `None` if nothing is due.
    pub fn plan(&self, times: &Times, now: u64) -> Option<Plan> {
        let first = self.next.filter(|first| *first <= now + LEAD)?;
        let late = now.saturating_sub(GRACE);
        let made_up = match self.definition.missed {
            Missed::None => 0,
            Missed::One => 1,
            Missed::All => MAX_MADE_UP,
        };
        let mut claim = match first < late && made_up > 0 {
            true => times.last(first, late, made_up),
            false => Vec::new(),
        };
        // The row's own next time comes first, also if the rule's table of time zones has changed since.
        let on_time = match first < late {
            true => times.next(late.saturating_sub(1)),
            false => Some(first),
        };
        let mut next = on_time;
        while let Some(at) = next.filter(|at| *at <= now + LEAD) {
            claim.push(at);
            next = times.next(at);
        }
        if let Some(left) = self.left()
            && claim.len() as u64 >= left
        {
            claim.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            next = None;
        }
        Some(Plan { claim, next })
    }

    /// Claims the times of a plan.
    pub fn claim(&mut self, plan: Plan) {
        self.next = plan.next;
        self.count += plan.claim.len() as u64;
        if let Some(last) = plan.claim.last() {
            self.before = self.last.replace(*last);
            self.claimed = plan.claim;
        }
    }
}
