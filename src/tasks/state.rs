//! What may happen to a task, as one pure function.
//!
//! ```text
//!              submit                claim                    finish
//!   (none) ───────────▶ pending ───────────────▶ running ───────────────▶ completed
//!      │                   │                       │  │ └─ no attempt left, or permanent ─▶ failed
//!      │                   └── rejected ─▶ failed  │  └─ error, attempts left ─▶ retrying ─▶ running
//!      └── claim (the message was faster) ─▶ running └─ lease lost: claim again ─▶ running
//! ```
//!
//! Every write to a task's record is one of these edges, as one conditional update: its condition
//! is made of [`Event::sources`], so that what the table allows and what this page says are one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted, its time not yet come. Entered by submit; left by claim or cancel.
    Scheduled,
    /// Accepted, and waiting for a worker. Entered by submit; left by claim, reject or cancel.
    Pending,
    /// A worker holds it under a lease. Entered by claim; left by finish, fail, retry or, when the
    /// lease is lost, by the next claim.
    Running,
    /// An attempt failed, and another one follows. Entered by retry; left by claim or cancel.
    Retrying,
    /// Done, with a result. Final.
    Completed,
    /// Given up, with an error. Final.
    Failed,
    /// Stopped by its caller. Final.
    Cancelled,
    /// Its time had passed before it could run. Final.
    Expired,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was accepted and its message is sent.
    Submit,
    /// A worker takes it: the first time, after a retry, or because the lease of another is over.
    Claim,
    /// Its attempt gave a result.
    Complete,
    /// Its attempt failed for good.
    Fail,
    /// Its attempt failed, and there will be another.
    Retry,
    /// Its message can never be worked on.
    Reject,
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
        // Without a record: the message was faster than the submitter, or the submitter died
        // between sending and writing.
        (None | Some(Scheduled | Pending | Retrying), Event::Claim) => Ok(Running),
        // Only once the lease is over; the write checks that.
        (Some(Running), Event::Claim) => Ok(Running),
        (Some(Running), Event::Complete) => Ok(Completed),
        (Some(Running), Event::Fail) => Ok(Failed),
        (Some(Running), Event::Retry) => Ok(Retrying),
        (None | Some(Scheduled | Pending | Retrying), Event::Reject) => Ok(Failed),
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

    /// Whether nothing can happen to it any more.
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

    const EVENTS: [Event; 6] = [
        Event::Submit,
        Event::Claim,
        Event::Complete,
        Event::Fail,
        Event::Retry,
        Event::Reject,
    ];

    #[test]
    fn a_final_state_is_final() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            for event in EVENTS {
                assert!(next(Some(state), event).is_err(), "{state} {event:?}");
            }
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
        let mut open = vec![State::Pending, State::Running];
        let mut seen = open.clone();
        while let Some(state) = open.pop() {
            let reached: Vec<State> = EVENTS
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
