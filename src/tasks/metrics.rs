//! Counting tasks: as metrics, and in rows of numbers.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::counts::{CountStore, Counts};
use super::state::State;
use super::task::Task;
use crate::emf::{Metric, Set, count, emit, milliseconds};
use crate::error::Chain;

/// Counts an accepted task of this job: `TasksSubmitted`.
pub fn submitted(job: &str) {
    emit(&[Set::of(&[("Job", job)], &[count("TasksSubmitted")])]);
}

/// Counts what happens to tasks: as metrics at once, and in rows of numbers when [`Counter::write`] is called.
#[derive(Debug)]
pub struct Counter {
    rows: CountStore,
    unwritten: Mutex<Counts>,
}

impl Counter {
    /// A counter that writes to `rows`.
    pub fn new(rows: CountStore) -> Counter {
        Counter {
            rows,
            unwritten: Mutex::default(),
        }
    }

    /// Counts a task of this job that entered a state without an attempt; see [`Counter::attempted`].
    pub fn reached(&self, job: &str, state: State) {
        self.unwritten().of(job).entered(state);
        let dimensions = [("Job", job), ("State", state.as_str())];
        let metrics = [metric_of(state)];
        emit(entered(state, &dimensions, &metrics).as_slice());
    }

    /// Counts an attempt that began at `began`, in milliseconds since the Unix epoch, and took `time`:
    /// `AttemptTime`. `state` is the task's new state, if the attempt still held the lease. The first
    /// attempt of the first run also counts `TaskWait`: the time from the task's eta, or from its
    /// submission if the submission was later, to `began`.
    pub fn attempted(
        &self,
        task: &Task,
        attempt: u32,
        began: u64,
        time: Duration,
        state: Option<State>,
    ) {
        let due = task.options.eta.unwrap_or(0).max(task.submitted_at);
        let waited = Duration::from_millis(began.saturating_sub(due));
        let waited = (attempt == 1 && task.run == 1).then_some(waited);
        let mut unwritten = self.unwritten();
        let counts = unwritten.of(&task.job);
        counts.run.record(millis(time));
        if let Some(waited) = waited {
            counts.wait.record(millis(waited));
        }
        if let Some(state) = state {
            counts.entered(state);
        }
        drop(unwritten);
        emit_attempt(&task.job, time, waited, state);
    }

    /// Writes what was counted since the last call, by one call to the table. A failure is logged: the metrics
    /// have counted, and the records are right.
    pub async fn write(&self) {
        let counts = std::mem::take(&mut *self.unwritten());
        if let Err(error) = self.rows.add(counts).await {
            tracing::warn!(error = %Chain(&error), "numbers of tasks were not written");
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, Counts> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one end of a task outside of the worker; see [`Counter`].
pub async fn ended(rows: CountStore, job: &str, state: State) {
    let counter = Counter::new(rows);
    counter.reached(job, state);
    counter.write().await;
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

fn emit_attempt(job: &str, time: Duration, waited: Option<Duration>, state: Option<State>) {
    let job = ("Job", job);
    let times = [
        milliseconds("AttemptTime", time),
        milliseconds("TaskWait", waited.unwrap_or_default()),
    ];
    let times = &times[..if waited.is_some() { 2 } else { 1 }];
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

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
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
