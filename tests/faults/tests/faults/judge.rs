//! The rules that every task's record must meet once the storm is over.

use jiff::Timestamp;
use serde_json::Value;

use crate::call::FINAL;
use crate::clients::{Accepted, Cancelled};
use crate::order::Kind;
use crate::poison::Message;

/// How much later than its check a claim is written, in milliseconds: the worker looks at the clock
/// for both.
const CLOCK: i64 = 100;

/// The retries of a job that names no number, as `src/tasks/retry.rs` has it.
const RETRIES: u64 = 3;

/// What is wrong with a task that ended, as its record and the final writes that the table took
/// have it.
pub fn faults_of(record: &Value, endings: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let state = text(&record["state"]);
    if !FINAL.contains(&state) {
        wrong.push(format!("it has not ended: it is {state:?}"));
    }
    // A task ends once in each of its runs.
    let run = record["run"].as_u64().unwrap_or(0);
    if run != endings.len() as u64 {
        wrong.push(format!("its run is {run}, and it ended as {endings:?}"));
    }
    if endings.last().map(String::as_str) != Some(state) {
        wrong.push(format!("it is {state:?}, and it ended as {endings:?}"));
    }
    if state != "completed" && !record["result"].is_null() {
        wrong.push("it has a result, and is not completed".to_owned());
    }
    wrong.extend(attempts_of(record, state));
    wrong
}

/// What is wrong with a task's attempts.
fn attempts_of(record: &Value, state: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let outcomes: Vec<&str> = outcomes(record).collect();
    let continued = outcomes.iter().filter(|one| **one == "continued").count();
    let counted = outcomes.len() - continued;
    // One that begins after the last allowed one was lost does no work: it only says so.
    let is_lost = record["error"]["type"] == "WorkerLost";
    let retries = record["max_retries"].as_u64().unwrap_or(RETRIES);
    let allowed = retries as usize + 1 + usize::from(is_lost);
    if counted > allowed {
        wrong.push(format!("{counted} attempts, and {allowed} are allowed"));
    }
    if is_lost && counted < allowed {
        wrong.push(format!(
            "given up after {counted} attempts of {allowed} that are allowed"
        ));
    }
    let completed = outcomes.iter().filter(|one| **one == "completed").count();
    if completed != usize::from(state == "completed") {
        wrong.push(format!("{completed} attempts completed"));
    }
    if state == "completed" && outcomes.last() != Some(&"completed") {
        wrong.push("its last attempt is not the one that completed".to_owned());
    }
    if outcomes.contains(&"running") {
        wrong.push("an attempt is said to run".to_owned());
    }
    wrong
}

/// What is wrong with the end of a task that was accepted.
pub fn faults_of_accepted(task: &Accepted, record: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let state = text(&record["state"]);
    let (job, retries) = (&task.order.body["job"], task.order.max_retries);
    if record["job"] != *job || record["max_retries"] != retries {
        wrong.push("it is another task".to_owned());
    }
    if state == "completed" && !task.order.expected.is_met(&record["result"]) {
        wrong.push(format!("its result is not {:?}", task.order.expected));
    }
    let right = match task.order.kind {
        Kind::Missing { .. } => is_failed(record, "SourceRefused") && runs_are_right(task, record),
        Kind::Flaky { fails } => state == "completed" && has_failed(record) >= fails as usize,
        Kind::Cancelled { .. } => cancellation_is_right(task, state),
        // No worker has it, so nothing is in the way of its cancellation.
        Kind::Scheduled { .. } => state == "cancelled" && task.cancelled == Some(Cancelled::Done),
        Kind::Expires { at } => expiry_is_right(at, record),
        Kind::OneAttempt => state == "completed" || is_failed(record, "WorkerLost"),
        _ => state == "completed",
    };
    if !right {
        wrong.push(format!(
            "it is {state:?}, which must not be (cancelled: {:?}; restarts asked for: {}, accepted: {})",
            task.cancelled, task.restarts_asked, task.restarts_told
        ));
    }
    wrong
}

/// What is wrong with the end of a task whose message was put into the queue by hand.
pub fn faults_of_message(message: &Message, record: &Value) -> Vec<String> {
    let right = match message.fails {
        None => record["state"] == "completed",
        Some(kind) => is_failed(record, kind) && outcomes(record).count() == 0,
    };
    match right {
        true => Vec::new(),
        false => vec![format!("its message was {}", message.body)],
    }
}

/// 200 and 202 are promises: 200 says that the task is cancelled, 202 that the record has a mark on
/// whose absence every result is conditional. 409 names the state that it had ended in.
fn cancellation_is_right(task: &Accepted, state: &str) -> bool {
    match &task.cancelled {
        Some(Cancelled::Done | Cancelled::Requested) => state == "cancelled",
        Some(Cancelled::Ended(ended)) => state == ended && state == "completed",
        None => false,
    }
}

/// Each accepted restart is a run; one without a clear answer may be.
fn runs_are_right(task: &Accepted, record: &Value) -> bool {
    let run = record["run"].as_u64().unwrap_or(0);
    let (told, asked) = (task.restarts_told, task.restarts_asked);
    (u64::from(told) + 1..=u64::from(asked) + 1).contains(&run)
}

/// It began in time, or it expired in time.
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

/// How each attempt ended.
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
