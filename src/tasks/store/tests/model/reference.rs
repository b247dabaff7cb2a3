//! The reference model of a task's record.

use super::*;

/// The expected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub state: State,
    pub run: u32,
    pub attempts: u32,
    pub continued: u32,
    /// The lease that may write, by its number.
    pub lease: Option<usize>,
    pub lease_until: Option<u64>,
    pub next_at: Option<u64>,
    pub cancel_requested: bool,
    pub rejected: bool,
    /// Whether the record has the task's description. Only a revocation creates a record without it.
    pub is_described: bool,
    /// The last run whose effects are done.
    pub effects_done: Option<u32>,
    /// The calls of the run's end.
    pub calls: Option<String>,
    /// Whether the message goes to the dead-letter queue.
    pub is_dead: bool,
    /// What further attempts get.
    pub next: Option<String>,
    /// The place of the message that carries the task on.
    pub generation: u32,
    pub gone_at: Option<u64>,
}

impl Record {
    pub fn new(state: State, run: u32) -> Record {
        Record {
            state,
            run,
            attempts: 0,
            continued: 0,
            lease: None,
            lease_until: None,
            next_at: None,
            cancel_requested: false,
            rejected: false,
            is_described: false,
            effects_done: None,
            calls: None,
            is_dead: false,
            next: None,
            generation: 0,
            gone_at: None,
        }
    }

    /// Notes what the end of the run sets off.
    pub fn end_with(&mut self, calls: Option<&RawValue>, given: Given) {
        match given.is_put {
            true => self.effects_done = Some(self.run),
            false => self.calls = calls.map(|json| json.get().to_owned()),
        }
    }
}

/// The expected record, the clock, and the number of leases so far.
#[derive(Debug, Default)]
pub struct Model {
    pub now: u64,
    pub record: Option<Record>,
    pub leases: usize,
    /// Whether the task's end sets off anything.
    pub has_effects: bool,
}

impl Model {
    /// The record, unless it has expired.
    pub fn visible(&self) -> Option<&Record> {
        let gone = |record: &Record| {
            record
                .gone_at
                .is_some_and(|at| at / 1000 <= self.now / 1000)
        };
        self.record.as_ref().filter(|record| !gone(record))
    }

    /// The state of the record, expired or not.
    pub fn state(&self) -> Option<State> {
        self.record.as_ref().map(|record| record.state)
    }

    pub fn is_cancel_requested(&self) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| record.cancel_requested)
    }

    /// Applies an event that the state allows.
    pub fn go(&mut self, event: Event) -> &mut Record {
        let to = next(self.state(), event).expect("an event that the state allows");
        let record = self.record.get_or_insert(Record::new(to, 1));
        record.state = to;
        record.is_described |= matches!(
            event,
            Event::Submit | Event::Claim | Event::Expire | Event::Reject
        );
        record.next_at = None;
        record.gone_at = to.is_final().then_some(self.now + RETENTION);
        record
    }

    /// Why a claim for a message of `run` is refused; `None` if it is not.
    pub fn obstacle(&mut self, run: u32) -> Option<Outcome> {
        if self.visible().is_none() {
            self.record = None;
            return None;
        }
        let (now, record) = (self.now, self.record.as_ref()?);
        let held = |until: u64| Some(Outcome::Held(until.saturating_sub(now)));
        let until = record.lease_until.unwrap_or(0);
        match record.state {
            _ if record.run > run => Some(Outcome::Ended),
            state if state.is_final() && record.run == run => Some(Outcome::Ended),
            State::Completed | State::Moved => Some(Outcome::Ended),
            state if state.is_final() => {
                self.restart(run);
                None
            }
            State::Running if until >= now => held(until),
            State::Running if record.cancel_requested => {
                self.go(Event::Stop);
                Some(Outcome::Ended)
            }
            State::Running => None,
            _ => record.next_at.filter(|at| *at > now).and_then(held),
        }
    }

    pub fn restart(&mut self, run: u32) {
        let before = self.go(Event::Restart).clone();
        self.record = Some(Record {
            is_described: before.is_described,
            effects_done: before.effects_done,
            generation: before.generation,
            ..Record::new(State::Pending, run)
        });
    }

    /// The task goes on in a message of this generation.
    pub fn go_on(&mut self, generation: u32) {
        let before = self.go(Event::Continue).clone();
        self.record = Some(Record {
            is_described: true,
            effects_done: before.effects_done,
            generation,
            ..Record::new(State::Pending, before.run + 1)
        });
    }

    pub fn claim(&mut self, run: u32) -> Outcome {
        if let Some(outcome) = self.obstacle(run) {
            return match outcome {
                Outcome::Ended if self.has_effects_left(run) => {
                    Outcome::EffectsLeft(self.state().unwrap_or(State::Pending))
                }
                outcome => outcome,
            };
        }
        let (lease, until) = (self.leases, self.now + millis(LEASE));
        self.leases += 1;
        let record = self.go(Event::Claim);
        record.run = run;
        record.attempts += 1;
        record.lease = Some(lease);
        record.lease_until = Some(until);
        Outcome::Claimed {
            attempt: record.attempts,
            counted: record.attempts - record.continued,
        }
    }

    /// Whether a message of `run` finds effects to perform.
    pub fn has_effects_left(&self, run: u32) -> bool {
        let is_left = |record: &Record| {
            let is_done = record.effects_done == Some(run);
            record.state.is_final() && record.run == run && !is_done
        };
        let has_effects =
            |record: &Record| self.has_effects || record.calls.is_some() || record.is_dead;
        let record = self.record.as_ref().filter(|record| has_effects(record));
        record.is_some_and(is_left)
    }

    /// Whether the record itself knows of effects that are not done.
    pub fn has_calls_left(&self) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| {
            let is_done = record.effects_done == Some(record.run);
            (record.calls.is_some() || record.is_dead) && !is_done
        })
    }

    pub fn finish_effects(&mut self, run: u32) {
        let gone_at = self.record.as_ref().and_then(|record| record.gone_at);
        let record = self.go(Event::FinishEffects);
        record.effects_done = Some(run);
        record.is_described |= record.attempts == 0;
        record.gone_at = gone_at;
    }

    pub fn reject(&mut self, run: u32) -> Outcome {
        let record = self.go(Event::Reject);
        record.run = run;
        record.rejected = true;
        Outcome::Done
    }

    pub fn is_rejected(&self) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| record.state == State::Failed && record.rejected)
    }

    /// Whether the attempt of a lease has ended.
    pub fn has_ended(&self, lease: usize) -> bool {
        let record = self.record.as_ref();
        let is_present = |record: &&Record| record.lease == Some(lease);
        let record = record.filter(is_present);
        record.is_some_and(|record| record.state != State::Running)
    }

    /// The outcome of a write under a lease.
    pub fn fenced(&mut self, lease: usize, event: Event) -> Fenced {
        // A write under a lease does not check the record's expiry.
        let Some(record) = self.record.as_ref() else {
            return Fenced::Lost;
        };
        if record.lease != Some(lease) {
            return Fenced::Lost;
        }
        if record.state != State::Running {
            // A repetition of the same write counts as written.
            let again = record.state == event.target().unwrap_or(State::Running);
            return if again { Fenced::Written } else { Fenced::Lost };
        }
        if record.cancel_requested && event != Event::Stop {
            return Fenced::Cancelled;
        }
        self.go(event);
        Fenced::Written
    }

    /// The outcome of an extension of a lease.
    pub fn extend(&mut self, lease: usize) -> Fenced {
        let until = self.now + millis(LEASE);
        let extended = self.fenced(lease, Event::Extend);
        if let (Fenced::Written, Some(record)) = (extended, &mut self.record) {
            record.lease_until = Some(until);
        }
        extended
    }
}

/// The outcome of a claim or a rejection.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Claimed { attempt: u32, counted: u32 },
    Held(u64),
    Ended,
    EffectsLeft(State),
    Done,
}
