//! A schedule: what its owner defines, and how far it has come.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::plan::Times;
use super::rule::{Rule, RuleError, Spec};
use super::work::Work;

/// What the owner of a schedule defines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    /// What is submitted at each time.
    pub work: Work,
    /// When the schedule fires.
    pub rule: Spec,
    /// The IANA name of the rule's time zone.
    pub timezone: String,
    /// The first moment at which a time may be, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// The last moment at which a time may be, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// The number of times after which the schedule ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<u64>,
    /// What happens to missed times.
    #[serde(default)]
    pub missed: Missed,
    /// What happens to a time at which the task of the time before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
}

/// What happens to times that were missed: no ticker ran for a minute or longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// The last of them runs, at once.
    #[default]
    One,
    /// None of them runs.
    None,
    /// Each of them runs, at once; of more than [`super::plan::MAX_MADE_UP`], only the last ones.
    All,
}

/// What happens to a time at which the task of the time before has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The time runs.
    #[default]
    Allow,
    /// The time is skipped: its task expires.
    Skip,
}

/// A schedule, as its row in the table. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The name, unique in the table.
    pub name: String,
    /// A part of the ids of the schedule's tasks.
    pub uid: Uuid,
    /// Who created the schedule; `None` without authentication.
    pub caller: Option<String>,
    /// What the owner defined.
    pub definition: Definition,
    /// The number of the definition: 1, and 1 more for each change by the owner.
    pub version: u64,
    /// When the schedule was created.
    pub created_at: u64,
    /// When the definition was changed last.
    pub updated_at: u64,
    /// The first moment of an interval that names no start of its own.
    pub anchor: u64,
    /// Whether the schedule is paused: no times are claimed.
    pub paused: bool,
    /// The next time; `None` for a schedule that is paused or has ended.
    pub next: Option<u64>,
    /// The claimed times that may not be submitted yet, in order.
    pub claimed: Vec<u64>,
    /// The last time before the claimed times.
    pub before: Option<u64>,
    /// The last time that was claimed.
    pub last: Option<u64>,
    /// The number of times that were claimed.
    pub count: u64,
    /// The name of the row's last write. A write names the write that it follows.
    pub(super) stamp: Uuid,
}

impl Definition {
    /// The definition's times. `anchor` is the first moment of an interval that names no start.
    ///
    /// # Errors
    /// When the rule is wrong, or never fires.
    pub fn times(&self, anchor: u64) -> Result<Times, RuleError> {
        let rule = match &self.rule {
            Spec::Every { every, start: None } => Spec::Every {
                every: *every,
                start: Some(self.start.unwrap_or(anchor)),
            },
            spec => spec.clone(),
        };
        Ok(Times {
            rule: Rule::parse(&rule, &self.timezone)?,
            start: self.start,
            end: self.end,
        })
    }

    /// Whether another definition has the same times.
    fn has_times_of(&self, other: &Definition) -> bool {
        let of = |one: &Definition| (one.rule.clone(), one.timezone.clone(), one.start, one.end);
        of(self) == of(other)
    }
}

impl Schedule {
    /// A new schedule, whose first time is after `now`.
    ///
    /// # Errors
    /// When the rule is wrong.
    pub fn new(
        name: String,
        caller: Option<String>,
        definition: Definition,
        now: u64,
    ) -> Result<Schedule, RuleError> {
        let anchor = anchor_at(now);
        let next = definition.times(anchor)?.next(now);
        Ok(Schedule {
            name,
            uid: Uuid::new_v4(),
            caller,
            definition,
            version: 1,
            created_at: now,
            updated_at: now,
            anchor,
            paused: false,
            next,
            claimed: Vec::new(),
            before: None,
            last: None,
            count: 0,
            stamp: Uuid::nil(),
        })
    }

    /// Replaces the definition. Another rule, time zone, start or end takes effect with the first time that
    /// is after `now` and was not claimed; times that were missed before are dropped. Otherwise the next time
    /// stays.
    ///
    /// # Errors
    /// When the rule is wrong.
    pub fn redefine(&mut self, definition: Definition, now: u64) -> Result<(), RuleError> {
        let keeps_times = definition.has_times_of(&self.definition);
        if definition.rule != self.definition.rule {
            self.anchor = anchor_at(now);
        }
        let times = definition.times(self.anchor)?;
        let is_over = |most: u64| self.count >= most;
        let was_over = self.definition.max_runs.is_some_and(is_over);
        self.definition = definition;
        match self.definition.max_runs.is_some_and(is_over) {
            true => self.next = None,
            false if !keeps_times || was_over => self.next = self.next_of(&times, now),
            false => {}
        }
        Ok(())
    }

    /// Pauses or resumes the schedule. Times of the pause are dropped.
    ///
    /// # Errors
    /// When the stored rule cannot be read.
    pub fn set_paused(&mut self, paused: bool, now: u64) -> Result<(), RuleError> {
        if paused == self.paused {
            return Ok(());
        }
        self.paused = paused;
        self.next = None;
        let left = self.left();
        if !paused && left != Some(0) {
            let times = self.definition.times(self.anchor)?;
            self.next = self.next_of(&times, now);
        }
        Ok(())
    }

    /// The first time after `now` that was not claimed; `None` while the schedule is paused.
    fn next_of(&self, times: &Times, now: u64) -> Option<u64> {
        let after = self.last.map_or(now, |last| last.max(now));
        times.next(after).filter(|_| !self.paused)
    }

    /// The number of times that may still be claimed; `None` for any number.
    pub fn left(&self) -> Option<u64> {
        let most = self.definition.max_runs?;
        Some(most.saturating_sub(self.count))
    }

    /// The time at which a ticker looks at the schedule: the first claimed time that may not be submitted yet,
    /// or the next time.
    pub fn due(&self) -> Option<u64> {
        self.claimed.first().copied().or(self.next)
    }
}

/// The present second.
fn anchor_at(now: u64) -> u64 {
    now / 1000 * 1000
}
