//! The life of a task, as one pure function of state and event.
//!
//! ```text
//!              submit                claim                    finish
//!   (none) ───────────▶ pending ───────────────▶ running ───────────────▶ completed
//!             │           ▲  │  ▲                  │ │ │ └─ permanent, or no attempt left ─▶ failed
//!   with an   │           │  │  └─── hand back ────┘ │ └── error, attempts left ─▶ retrying ─claim─▶
//!   eta       ▼           │  └── its time is over ───│────────────────────────────▶ expired
//!          scheduled ─────┘                          └── the lease is lost: claim again ─▶ running
//!
//!   cancel, revoke: scheduled, pending, retrying ─▶ cancelled at once; revoke: also (none) ─▶ cancelled
//!   request to cancel: running ─▶ running, and ─ stop ─▶ cancelled when its job has stopped
//!   extend: running ─▶ running
//!   move: running ─▶ moved; continue: moved ─▶ pending, as the task's next run
//!   finish effects: completed, failed, cancelled, expired, moved ─▶ the same state
//!   restart: failed, cancelled, expired ─▶ pending, as the task's next run
//! ```
//!
//! The message of a scheduled task arrives at the task's time, so the claim itself leaves
//! `scheduled`. Every write to a task's record is one event, as one conditional update. The event alone
//! determines the update's condition ([`Event::sources`]) and the state that the update sets
//! ([`Event::target`]), so the table holds no transition but the transitions of this page.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted for a later time. Entered by schedule; left by claim, reject, expire, cancel, revoke.
    Scheduled,
    /// Waiting for a worker. Entered by submit, hand back and restart; left by claim, reject,
    /// expire, cancel, revoke.
    Pending,
    /// A worker holds the task under a lease. Entered by claim; left by complete, fail, retry, hand
    /// back and stop or, when the lease is lost, by the next claim, or by reject.
    Running,
    /// An attempt failed, and another attempt follows. Entered by retry; left by claim, reject, expire,
    /// cancel, revoke.
    Retrying,
    /// Done, with a result. Entered by complete; never left.
    Completed,
    /// Ended with an error. Entered by fail and reject; left by restart alone.
    Failed,
    /// Stopped by its caller. Entered by cancel, revoke and stop; left by restart alone.
    Cancelled,
    /// Its expiry passed before the next attempt began. Entered by expire; left by restart alone.
    Expired,
    /// The task goes on in another message of the same id. Entered by move; left by continue alone, when
    /// a worker receives that message.
    Moved,
}

/// An event in a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The task was accepted and its message is sent.
    Submit,
    /// The task was accepted for a later time.
    Schedule,
    /// A worker takes the task: for the first time, after a retry, or because another worker's lease
    /// has ended.
    Claim,
    /// The worker extends its lease, or saves a checkpoint of the attempt.
    Extend,
    /// The attempt gave a result.
    Complete,
    /// The attempt has sent the task on, in another message.
    Move,
    /// The attempt failed for good.
    Fail,
    /// The attempt failed, and another attempt follows.
    Retry,
    /// The worker's time is over, and the attempt has saved checkpoints.
    HandBack,
    /// The caller cancels a task that no worker holds.
    Cancel,
    /// As cancel, and the task may still be on its way: a message that comes later does not run.
    Revoke,
    /// The caller cancels a task that a worker holds: the worker must stop.
    RequestCancel,
    /// The worker of a cancelled task has stopped, or is dead.
    Stop,
    /// The task's expiry has passed before the next attempt began.
    Expire,
    /// The task's message can never be processed.
    Reject,
    /// What the run's end sets off is done.
    FinishEffects,
    /// The caller runs the task again.
    Restart,
    /// A worker receives the message in which a moved task goes on.
    Continue,
}

/// An event that a state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the state {from} does not allow the event {event:?}")]
pub struct Refused {
    from: Place,
    event: Event,
}

/// A state, or the absence of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(Option<State>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("of no record", State::as_str))
    }
}

/// The state after `event`. `from` is `None` for a task without a record.
///
/// # Errors
/// When the state does not allow the event.
pub fn next(from: Option<State>, event: Event) -> Result<State, Refused> {
    let allowed = from.map_or(event.creates(), |state| event.sources().contains(&state));
    let refused = || Refused {
        from: Place(from),
        event,
    };
    let to = allowed.then(|| event.target().or(from)).flatten();
    to.ok_or_else(refused)
}

impl State {
    /// All states.
    pub const ALL: [State; 9] = [
        State::Scheduled,
        State::Pending,
        State::Running,
        State::Retrying,
        State::Completed,
        State::Failed,
        State::Cancelled,
        State::Expired,
        State::Moved,
    ];

    /// Whether the run has ended. Only a restart, or the message of a moved task, leaves a final state.
    pub fn is_final(self) -> bool {
        use State::*;
        matches!(self, Completed | Failed | Cancelled | Expired | Moved)
    }

    /// The state's name in the table and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Scheduled => "scheduled",
            State::Pending => "pending",
            State::Running => "running",
            State::Retrying => "retrying",
            State::Completed => "completed",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
            State::Moved => "moved",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 18] = [
        Event::Submit,
        Event::Schedule,
        Event::Claim,
        Event::Extend,
        Event::Complete,
        Event::Move,
        Event::Fail,
        Event::Retry,
        Event::HandBack,
        Event::Cancel,
        Event::Revoke,
        Event::RequestCancel,
        Event::Stop,
        Event::Expire,
        Event::Reject,
        Event::FinishEffects,
        Event::Restart,
        Event::Continue,
    ];

    /// The states that allow this event.
    pub const fn sources(self) -> &'static [State] {
        use State::*;
        match self {
            Event::Submit | Event::Schedule => &[],
            // `Running` only after the lease has ended. The write checks the lease.
            Event::Claim | Event::Reject => &[Scheduled, Pending, Running, Retrying],
            Event::Extend
            | Event::Complete
            | Event::Move
            | Event::Fail
            | Event::Retry
            | Event::HandBack
            | Event::RequestCancel
            | Event::Stop => &[Running],
            Event::Cancel | Event::Revoke | Event::Expire => &[Scheduled, Pending, Retrying],
            Event::FinishEffects => &[Completed, Failed, Cancelled, Expired, Moved],
            Event::Restart => &[Failed, Cancelled, Expired],
            Event::Continue => &[Moved],
        }
    }

    /// Whether this event may create the record. A worker may receive the message before the
    /// submitter has written the record, or the submitter may have died after it sent the message. A task
    /// may be revoked before its message is received.
    pub const fn creates(self) -> bool {
        use Event::*;
        matches!(self, Submit | Schedule | Claim | Revoke | Expire | Reject)
    }

    /// The state after this event; `None` if the event leaves the task in its state.
    pub const fn target(self) -> Option<State> {
        Some(match self {
            Event::Extend | Event::RequestCancel | Event::FinishEffects => return None,
            Event::Submit | Event::HandBack | Event::Restart | Event::Continue => State::Pending,
            Event::Schedule => State::Scheduled,
            Event::Claim => State::Running,
            Event::Complete => State::Completed,
            Event::Move => State::Moved,
            Event::Fail | Event::Reject => State::Failed,
            Event::Retry => State::Retrying,
            Event::Cancel | Event::Revoke | Event::Stop => State::Cancelled,
            Event::Expire => State::Expired,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_is_left_by_restart_or_continue_alone_and_completed_never() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            for event in Event::ALL {
                let leaving = match state {
                    State::Completed => None,
                    State::Moved => Some(Event::Continue),
                    _ => Some(Event::Restart),
                };
                let after = next(Some(state), event);
                let leaves = after.is_ok_and(|after| after != state);
                assert_eq!(leaves, leaving == Some(event), "{state} {event:?}");
            }
        }
    }

    #[test]
    fn a_cancelled_task_never_completes() {
        for event in Event::ALL {
            let after = next(Some(State::Cancelled), event);
            assert!(
                !matches!(after, Ok(State::Completed | State::Running)),
                "{event:?}"
            );
        }
    }

    #[test]
    fn only_a_running_task_ends_with_a_result() {
        assert_eq!(Event::Complete.sources(), [State::Running]);
        assert!(!Event::Complete.creates());
    }

    #[test]
    fn every_state_that_can_be_entered_leads_to_an_end() {
        let mut open = vec![State::Pending, State::Scheduled, State::Running];
        let mut seen = open.clone();
        while let Some(state) = open.pop() {
            let reached: Vec<State> = Event::ALL
                .into_iter()
                .filter_map(|event| next(Some(state), event).ok())
                .collect();
            assert!(
                state.is_final() || !reached.is_empty(),
                "{state} is a dead end"
            );
            for state in reached
                .into_iter()
                .filter(|state| !seen.contains(state))
                .collect::<Vec<_>>()
            {
                seen.push(state);
                open.push(state);
            }
        }
        assert!(seen.contains(&State::Completed) && seen.contains(&State::Failed));
    }

    #[test]
    fn an_event_without_a_target_keeps_every_state_that_allows_it() {
        for event in Event::ALL
            .into_iter()
            .filter(|event| event.target().is_none())
        {
            assert!(!event.creates(), "{event:?}");
            for state in event.sources() {
                assert_eq!(next(Some(*state), event), Ok(*state), "{event:?}");
            }
        }
    }

    #[test]
    fn a_state_is_found_by_its_name() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.as_str()), Some(state));
        }
        assert_eq!(State::from_name("lost"), None);
    }

    #[test]
    fn a_refusal_names_the_state_and_the_event() {
        let refused = next(Some(State::Completed), Event::Claim).unwrap_err();
        let expected = "the state completed does not allow the event Claim";
        assert_eq!(refused.to_string(), expected);
    }
}
