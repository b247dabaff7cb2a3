//! The metrics of tasks.

use std::time::Duration;

use super::state::State;
use super::task::Task;
use crate::emf::{Metric, Set, count, emit, milliseconds};

/// Counts an accepted task of this job: `TasksSubmitted`.
pub fn submitted(job: &str) {
    emit(&[Set::of(&[("Job", job)], &[count("TasksSubmitted")])]);
}

/// Counts a task of this job that entered a state without an attempt; see [`attempted`].
pub fn reached(job: &str, state: State) {
    let dimensions = [("Job", job), ("State", state.as_str())];
    let metrics = [metric_of(state)];
    emit(entered(state, &dimensions, &metrics).as_slice());
}

/// The metric of a task that enters a state: `TaskRetries` for a task that waits for another attempt,
/// else `TasksFinished`.
fn metric_of(state: State) -> Metric {
    match state {
        State::Retrying => count("TaskRetries"),
        _ => count("TasksFinished"),
    }
}

/// The metrics of a task that enters `state`; `None` for a state without a metric. `dimensions` are
/// the job and the state.
fn entered<'a>(
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

/// Counts an attempt that began at `began`, in milliseconds since the Unix epoch, and took `time`:
/// `AttemptTime`. `state` is the task's new state, if the attempt still held the lease. The first
/// attempt of the first run also counts `TaskWait`: the time from the task's eta, or from its
/// submission if the submission was later, to `began`.
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
    // One log line for both sets: logging is a large part of a small task's cost.
    let (dimensions, metrics) = ([job, ("State", state.as_str())], [metric_of(state)]);
    match entered(state, &dimensions, &metrics) {
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
            let (dimensions, metrics) = (
                [("Job", "j"), ("State", state.as_str())],
                [metric_of(state)],
            );
            entered(state, &dimensions, &metrics)
                .map(|set| (set.dimensions.len(), set.metrics[0].0))
        };
        assert_eq!(counted(State::Failed), Some((2, "TasksFinished")));
        assert_eq!(counted(State::Retrying), Some((1, "TaskRetries")));
        assert_eq!(counted(State::Pending), None);
    }
}
