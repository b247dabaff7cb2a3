//! A naive model of one schedule: the specification that the property test compares with.

use super::*;

/// A time is handed out so long before, and counts as missed so long after.
const LEAD: u64 = 75 * SECOND;
const GRACE: u64 = 60 * SECOND;
const MADE_UP: usize = 100;

/// A schedule as its owner understands it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Model {
    pub rule: Rule,
    anchor: u64,
    paused: bool,
    /// Times after this moment are not handed out yet; `None` for a schedule that is deleted.
    cursor: Option<u64>,
    /// The times of all tasks.
    pub fired: Vec<u64>,
    count: usize,
}

/// What the model knows of a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// An interval in seconds, or a crontab's minutes.
    pub every: u64,
    pub by_crontab: bool,
    /// In seconds after [`START`].
    pub end: Option<u64>,
    pub max_runs: Option<u64>,
    /// `0`: one, `1`: none, `2`: all.
    pub missed: u8,
}

impl Rule {
    pub fn definition(&self) -> Definition {
        let mut definition = match self.by_crontab {
            true => definition(Spec::Crontab(CrontabFields {
                minute: format!("*/{}", self.every),
                ..CrontabFields::default()
            })),
            false => every(self.every),
        };
        definition.end = self.end.map(|end| START + end * SECOND);
        definition.max_runs = self.max_runs;
        definition.missed = match self.missed {
            0 => Missed::One,
            1 => Missed::None,
            _ => Missed::All,
        };
        definition
    }

    /// Whether a whole second is a time.
    fn has(&self, at: u64, anchor: u64) -> bool {
        let is_before_end = self.end.is_none_or(|end| at <= START + end * SECOND);
        let is_time = match self.by_crontab {
            true => at.is_multiple_of(MINUTE) && (at / MINUTE % 60).is_multiple_of(self.every),
            false => at >= anchor && (at - anchor).is_multiple_of(self.every * SECOND),
        };
        is_time && is_before_end
    }
}

impl Model {
    pub fn new(rule: Rule, now: u64) -> Model {
        Model {
            rule,
            anchor: now / SECOND * SECOND,
            paused: false,
            cursor: Some(now),
            fired: Vec::new(),
            count: 0,
        }
    }

    /// A ticker looks at the schedule.
    pub fn tick(&mut self, now: u64) {
        let Some(cursor) = self.cursor.filter(|_| !self.paused) else {
            return;
        };
        let whole = (cursor / SECOND + 1) * SECOND;
        let times = (whole..=now + LEAD).step_by(SECOND as usize);
        let times: Vec<u64> = times.filter(|at| self.rule.has(*at, self.anchor)).collect();
        let is_missed = |at: &u64| *at < now.saturating_sub(GRACE);
        let (missed, on_time): (Vec<u64>, Vec<u64>) = times.iter().copied().partition(is_missed);
        let made_up = match self.rule.missed {
            0 => 1,
            1 => 0,
            _ => MADE_UP,
        };
        let made_up = &missed[missed.len().saturating_sub(made_up)..];
        let mut claim = [made_up, &on_time].concat();
        if let Some(most) = self.rule.max_runs {
            claim.truncate((most as usize).saturating_sub(self.count));
        }
        self.count += claim.len();
        self.fired.extend(claim);
        if let Some(last) = times.last() {
            self.cursor = Some(*last);
        }
    }

    pub fn pause(&mut self, now: u64) {
        self.paused = true;
        self.drop_until(now);
    }

    pub fn resume(&mut self, now: u64) {
        if self.paused {
            self.paused = false;
            self.drop_until(now);
        }
    }

    pub fn redefine(&mut self, rule: Rule, now: u64) {
        let form = |rule: &Rule| (rule.every, rule.by_crontab);
        let is_over = |most: Option<u64>| most.is_some_and(|most| self.count as u64 >= most);
        let was_over = is_over(self.rule.max_runs);
        if form(&rule) != form(&self.rule) {
            self.anchor = now / SECOND * SECOND;
        }
        if form(&rule) != form(&self.rule) || rule.end != self.rule.end || was_over {
            self.drop_until(now);
        }
        self.rule = rule;
    }

    pub fn delete(&mut self) {
        self.cursor = None;
    }

    pub fn is_deleted(&self) -> bool {
        self.cursor.is_none()
    }

    /// Another schedule of the same name.
    pub fn create(&mut self, rule: Rule, now: u64) {
        if self.is_deleted() {
            let fired = std::mem::take(&mut self.fired);
            *self = Model::new(rule, now);
            self.fired = fired;
        }
    }

    /// Times up to `now`, and times that were handed out, are no concern any more.
    fn drop_until(&mut self, now: u64) {
        let last = self.fired_last();
        self.cursor = self.cursor.map(|_| last.map_or(now, |last| last.max(now)));
    }

    /// The last time that was handed out for this schedule.
    fn fired_last(&self) -> Option<u64> {
        let of_this = &self.fired[self.fired.len() - self.count..];
        of_this.iter().copied().max()
    }
}
