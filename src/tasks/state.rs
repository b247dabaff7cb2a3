//! What may happen to a task, as one pure function.
//!
//! ```text
//!              submit                claim                    finish
//!   (none) ───────────▶ pending ───────────────▶ running ───────────────▶ completed
//!             │           ▲  │  ▲                  │ │ │ └─ permanent, or no attempt left ─▶ failed
//!   with an   │           │  │  └─── hand back ────┘ │ └── error, attempts left ─▶ retrying ─claim─▶
//!   eta       ▼           │  └── its time is over ───│────────────────────────────▶ expired
//!          scheduled ─────┘                          └── the lease is lost: claim again ─▶ running
//!
//!   cancel: scheduled, pending, retrying ─▶ cancelled at once; running ─▶ cancelled when its job stops
//!   restart: failed, cancelled, expired ─▶ pending, as the task's next run
//! ```
//!
//! A scheduled task's message comes when its time has, so `scheduled` is left by the claim itself.
//! Every write to a task's record is one of these edges, as one conditional update: its condition
//! is made of [`Event::sources`], so that what the table allows and what this page says are one.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TaskState)]
pub enum State {
    /// Accepted, its time not yet come. Entered by schedule; left by claim, reject, expire, cancel.
    Scheduled,
    /// Waiting for a worker. Entered by submit, hand back and restart; left by claim, reject,
    /// expire, cancel.
    Pending,
    /// A worker holds it under a lease. Entered by claim; left by complete, fail, retry, hand back
    /// and stop or, when the lease is lost, by the next claim, or by reject.
    Running,
    /// An attempt failed, and another one follows. Entered by retry; left by claim, reject, expire,
    /// cancel.
    Retrying,
    /// Done, with a result. Entered by complete; never left.
    Completed,
    /// Given up, with an error. Entered by fail and reject; left by restart alone.
    Failed,
    /// Stopped by its caller. Entered by cancel and stop; left by restart alone.
    Cancelled,
    /// Its time had passed before it could run. Entered by expire; left by restart alone.
    Expired,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was accepted and its message is sent.
    Submit,
    /// It was accepted for a later time.
    Schedule,
    /// A worker takes it: the first time, after a retry, or because the lease of another is over.
    Claim,
    /// Its attempt gave a result.
    Complete,
    /// Its attempt failed for good.
    Fail,
    /// Its attempt failed, and there will be another.
    Retry,
    /// Its worker's time is over, and it has saved how far it came.
    HandBack,
    /// Its caller wants it no more, and no worker has it.
    Cancel,
    /// Its caller wants it no more, and its worker has stopped or is gone.
    Stop,
    /// The time in which it may begin is over.
    Expire,
    /// Its message can never be worked on.
    Reject,
    /// Its caller wants it run again.
    Restart,
}

/// An event that a state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {from} cannot {event:?}")]
pub struct Refused {
    from: Place,
    event: Event,
}

/// A state, or that there is no record yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(Option<State>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("unknown", State::as_str))
    }
}

/// The state that `event` leads to; `None` stands for a task that has no record yet.
pub fn next(from: Option<State>, event: Event) -> Result<State, Refused> {
    use State::*;
    match (from, event) {
        (None, Event::Submit) => Ok(Pending),
        (None, Event::Schedule) => Ok(Scheduled),
        // Without a record: the message was faster than the submitter, or the submitter died
        // between sending and writing.
        (None | Some(Scheduled | Pending | Retrying), Event::Claim) => Ok(Running),
        // Only once the lease is over; the write checks that.
        (Some(Running), Event::Claim) => Ok(Running),
        (Some(Running), Event::Complete) => Ok(Completed),
        (Some(Running), Event::Fail) => Ok(Failed),
        (Some(Running), Event::Retry) => Ok(Retrying),
        (Some(Running), Event::HandBack) => Ok(Pending),
        (Some(Scheduled | Pending | Retrying), Event::Cancel) => Ok(Cancelled),
        (Some(Running), Event::Stop) => Ok(Cancelled),
        (None | Some(Scheduled | Pending | Retrying), Event::Expire) => Ok(Expired),
        // A running one only once the lease is over.
        (None | Some(Scheduled | Pending | Retrying | Running), Event::Reject) => Ok(Failed),
        (Some(Failed | Cancelled | Expired), Event::Restart) => Ok(Pending),
        (from, event) => Err(Refused {
            from: Place(from),
            event,
        }),
    }
}

impl State {
    /// All states.
    pub const ALL: [State; 8] = [
        State::Scheduled,
        State::Pending,
        State::Running,
        State::Retrying,
        State::Completed,
        State::Failed,
        State::Cancelled,
        State::Expired,
    ];

    /// Whether nothing happens to it any more of itself.
    pub fn is_final(self) -> bool {
        use State::*;
        matches!(self, Completed | Failed | Cancelled | Expired)
    }

    /// Its name in the table and in answers.
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
        }
    }

    /// The state of a name.
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
    pub const ALL: [Event; 12] = [
        Event::Submit,
        Event::Schedule,
        Event::Claim,
        Event::Complete,
        Event::Fail,
        Event::Retry,
        Event::HandBack,
        Event::Cancel,
        Event::Stop,
        Event::Expire,
        Event::Reject,
        Event::Restart,
    ];

    /// The states that allow this event.
    pub fn sources(self) -> impl Iterator<Item = State> {
        State::ALL
            .into_iter()
            .filter(move |state| next(Some(*state), self).is_ok())
    }

    /// Whether this event may begin a record.
    pub fn creates(self) -> bool {
        next(None, self).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_is_left_by_restart_alone_and_completed_never() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            for event in Event::ALL {
                let restarts = event == Event::Restart && state != State::Completed;
                let allowed = next(Some(state), event).is_ok();
                assert_eq!(allowed, restarts, "{state} {event:?}");
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
        assert_eq!(
            Event::Complete.sources().collect::<Vec<_>>(),
            [State::Running]
        );
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
    fn names_are_found_again() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.as_str()), Some(state));
        }
        assert_eq!(State::from_name("lost"), None);
    }

    #[test]
    fn a_refusal_says_what_was_tried() {
        let refused = next(Some(State::Completed), Event::Claim).unwrap_err();
        assert_eq!(refused.to_string(), "a task that is completed cannot Claim");
    }
}
