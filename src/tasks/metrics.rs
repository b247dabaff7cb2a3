//! What is counted of tasks.

use std::time::Duration;

use super::state::State;
use super::task::Task;
use crate::emf::{Metric, Set, count, emit, milliseconds};

/// A task of this job was accepted: `TasksSubmitted`.
pub fn submitted(job: &str) {
    emit(&[Set::of(&[("Job", job)], &[count("TasksSubmitted")])]);
}

/// A task of this job came to a state without an attempt; see [`attempted`].
pub fn reached(job: &str, state: State) {
    let dimensions = [("Job", job), ("State", state.as_str())];
    let metrics = [reaching(state)];
    emit(reached_by(state, &dimensions, &metrics).as_slice());
}

/// What a task's coming to a state counts as: `TasksFinished` where it is a final one, `TaskRetries`
/// where the task waits for another attempt.
fn reaching(state: State) -> Metric {
    match state {
        State::Retrying => count("TaskRetries"),
        _ => count("TasksFinished"),
    }
}

/// That a task came to `state`, where that is counted. `dimensions` are the job and the state.
fn reached_by<'a>(
    state: State,
    dimensions: &'a [(&'static str, &'a str); 2],
    metrics: &'a [Metric],
) -> Option<Set<'a>> {
    match state {
        state if state.is_final() => Some(Set::of(dimensions, metrics)),
        State::Retrying => Some(Set::of(&dimensions[..1], metrics)),
        _ => None,
    }
}

/// An attempt of a task, which began at `began` in milliseconds since the Unix epoch, ended after
/// `time`, and the task came to a state, if it still was this attempt's: `AttemptTime`. Its first
/// attempt of all has also waited: `TaskWait` is the time from when it could begin, at the earliest,
/// to when it began.
pub fn attempted(task: &Task, attempt: u32, began: u64, time: Duration, state: Option<State>) {
    let job = ("Job", task.job.as_str());
    let due = task.options.eta.unwrap_or(0).max(task.submitted_at);
    let waited = Duration::from_millis(began.saturating_sub(due));
    let times = [
        milliseconds("AttemptTime", time),
        milliseconds("TaskWait", waited),
    ];
    let is_first = attempt == 1 && task.run == 1;
    let times = &times[..if is_first { 2 } else { 1 }];
    let attempted = Set::of(std::slice::from_ref(&job), times);
    let Some(state) = state else {
        return emit(&[attempted]);
    };
    // In one line: of a small task, the log is not the least of its costs.
    let (dimensions, metrics) = ([job, ("State", state.as_str())], [reaching(state)]);
    match reached_by(state, &dimensions, &metrics) {
        Some(reached) => emit(&[attempted, reached]),
        None => emit(&[attempted]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ends_and_retries_are_counted() {
        let counted = |state: State| {
            let (dimensions, metrics) =
                ([("Job", "j"), ("State", state.as_str())], [reaching(state)]);
            reached_by(state, &dimensions, &metrics)
                .map(|set| (set.dimensions.len(), set.metrics[0].0))
        };
        assert_eq!(counted(State::Failed), Some((2, "TasksFinished")));
        assert_eq!(counted(State::Retrying), Some((1, "TaskRetries")));
        assert_eq!(counted(State::Pending), None);
    }
}
