//! The rules that every task's record must meet after the storm.

use jiff::Timestamp;
use serde_json::Value;

use crate::call::FINAL;
use crate::clients::{Accepted, Cancelled};
use crate::order::Kind;
use crate::poison::Message;

/// The maximum time between the check of a task's expiry and the time of the claim, in
/// milliseconds: the worker reads the clock for each.
const CLOCK: i64 = 100;

/// The default number of retries of a job, from `src/tasks/retry.rs`.
const RETRIES: u64 = 3;

/// The broken rules of a task that has ended, according to its record and the final writes that the
/// table accepted.
pub fn faults_of(record: &Value, endings: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let state = text(&record["state"]);
    // A run that has moved is followed by another one.
    if !FINAL.contains(&state) {
        wrong.push(format!("the task has not ended: its state is {state:?}"));
    }
    // A task ends once in each of its runs.
    let run = record["run"].as_u64().unwrap_or(0);
    if run != endings.len() as u64 {
        wrong.push(format!(
            "the task is in run {run}, but its final states are {endings:?}"
        ));
    }
    if endings.last().map(String::as_str) != Some(state) {
        wrong.push(format!(
            "the state is {state:?}, but the final states are {endings:?}"
        ));
    }
    if state != "completed" && !record["result"].is_null() {
        wrong.push("the task has a result, but is not completed".to_owned());
    }
    wrong.extend(attempts_of(record, state));
    wrong
}

/// The broken rules of a task's attempts.
fn attempts_of(record: &Value, state: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let outcomes: Vec<&str> = outcomes(record).collect();
    let continued = outcomes.iter().filter(|one| **one == "continued").count();
    let counted = outcomes.len() - continued;
    // After the last allowed attempt was lost, one more attempt starts. It runs no job, and only
    // fails the task.
    let is_lost = record["error"]["type"] == "WorkerLost";
    let retries = record["max_retries"].as_u64().unwrap_or(RETRIES);
    // A body in Python asks for this attempt itself.
    let asked = record["job"] == "storm.again";
    let allowed = retries as usize + 1 + usize::from(is_lost) + usize::from(asked);
    if counted > allowed {
        wrong.push(format!(
            "{counted} attempts, but only {allowed} are allowed"
        ));
    }
    if is_lost && counted + usize::from(asked) < allowed {
        wrong.push(format!(
            "failed after {counted} of {allowed} allowed attempts"
        ));
    }
    let completed = outcomes.iter().filter(|one| **one == "completed").count();
    if completed != usize::from(state == "completed") {
        wrong.push(format!("{completed} attempts completed"));
    }
    if state == "completed" && outcomes.last() != Some(&"completed") {
        wrong.push("the completed attempt is not the last one".to_owned());
    }
    if outcomes.contains(&"running") {
        wrong.push("an attempt is still running".to_owned());
    }
    wrong
}

/// The broken rules of an accepted task's end.
pub fn faults_of_accepted(task: &Accepted, record: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let state = text(&record["state"]);
    let (job, retries) = (&task.order.body["job"], task.order.max_retries);
    if record["job"] != *job || record["max_retries"] != retries {
        wrong.push("the record is of another task".to_owned());
    }
    if state == "completed" && !task.order.expected.is_met(&record["result"]) {
        wrong.push(format!("the result is not {:?}", task.order.expected));
    }
    let right = match task.order.kind {
        Kind::Missing { .. } => is_failed(record, "SourceRefused") && runs_are_right(task, record),
        Kind::Flaky { fails } => state == "completed" && has_failed(record) >= fails as usize,
        Kind::Cancelled { .. } => cancellation_is_right(task, state),
        // No worker has the task, so its cancellation always succeeds.
        Kind::Scheduled { .. } => state == "cancelled" && task.cancelled == Some(Cancelled::Done),
        Kind::Expires { at } => expiry_is_right(at, record),
        Kind::OneAttempt => state == "completed" || is_failed(record, "WorkerLost"),
        _ => state == "completed",
    };
    if !right {
        wrong.push(format!(
            "the state {state:?} is wrong (cancelled: {:?}; restarts requested: {}, accepted: {})",
            task.cancelled, task.restarts_requested, task.restarts_accepted
        ));
    }
    wrong
}

/// The broken rules of a task whose message the test sent.
pub fn faults_of_message(message: &Message, record: &Value) -> Vec<String> {
    let right = match message.fails {
        None => record["state"] == "completed",
        Some(kind) => is_failed(record, kind) && outcomes(record).count() == 0,
    };
    match right {
        true => Vec::new(),
        false => vec![format!("the message was {}", message.body)],
    }
}

/// 200 and 202 are promises. 200 means that the task is cancelled. 202 means that the record has a
/// cancellation request, and every write of a result is conditional on its absence. 409 names the
/// state in which the task had ended.
fn cancellation_is_right(task: &Accepted, state: &str) -> bool {
    match &task.cancelled {
        Some(Cancelled::Done | Cancelled::Requested) => state == "cancelled",
        Some(Cancelled::Ended(ended)) => state == ended && state == "completed",
        None => false,
    }
}

/// Each accepted restart is a run. A restart without a clear answer may be a run.
fn runs_are_right(task: &Accepted, record: &Value) -> bool {
    let run = record["run"].as_u64().unwrap_or(0);
    let (accepted, requested) = (task.restarts_accepted, task.restarts_requested);
    (u64::from(accepted) + 1..=u64::from(requested) + 1).contains(&run)
}

/// The task started in time, or expired in time.
fn expiry_is_right(at: u64, record: &Value) -> bool {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    match text(&record["state"]) {
        "completed" => time(&record["started_at"]).is_some_and(|time| time <= at + CLOCK),
        "expired" => {
            let began = !record["started_at"].is_null();
            !began && time(&record["finished_at"]).is_some_and(|time| time >= at)
        }
        _ => false,
    }
}

fn is_failed(record: &Value, kind: &str) -> bool {
    let known = kind.is_empty() || record["error"]["type"] == kind;
    record["state"] == "failed" && known
}

fn has_failed(record: &Value) -> usize {
    outcomes(record)
        .filter(|outcome| *outcome != "completed")
        .count()
}

/// The outcome of each attempt.
pub fn outcomes(record: &Value) -> impl Iterator<Item = &str> {
    let attempts = record["attempts"].as_array().into_iter().flatten();
    attempts.map(|attempt| text(&attempt["outcome"]))
}

fn time(value: &Value) -> Option<i64> {
    let time: Timestamp = text(value).parse().ok()?;
    Some(time.as_millisecond())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
