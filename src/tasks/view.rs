//! A task's record as its callers see it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::result::TaskError;
use super::state::State;
use crate::store::tasks::{Attempt, Progress, TaskRecord};

/// A task that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "task_id": "5f0c9c1e-6f0b-4d7e-9a53-0d2f8a9c1b7e",
    "job": "process_data",
    "state": "pending",
}))]
pub struct AcceptedTask {
    /// The id to ask for.
    #[schema(value_type = String, format = "uuid")]
    pub task_id: Uuid,
    /// Its job.
    pub job: String,
    /// `pending`, or `scheduled` where it waits for its time.
    pub state: State,
}

impl AcceptedTask {
    /// What is answered to the submission of this task, also when it is repeated later.
    pub fn new(task_id: Uuid, job: String, eta: Option<u64>) -> AcceptedTask {
        AcceptedTask {
            task_id,
            job,
            state: eta.map_or(State::Pending, |_| State::Scheduled),
        }
    }
}

/// All that is known of a task. Times are UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// The task.
    #[schema(value_type = String, format = "uuid")]
    task_id: Uuid,
    /// Its job; absent where only an unreadable message told of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// Where it stands.
    state: State,
    /// Which run of it this is, from 1: it may be run again under its id.
    run: u32,
    /// `normal` or `high`.
    priority: &'static str,
    /// Who submitted it, where callers are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// Before this time it may not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    eta: Option<String>,
    /// After this time it may not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires: Option<String>,
    /// When its first attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    finished_at: Option<String>,
    /// Milliseconds from when it could have begun until it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_wait_ms: Option<u64>,
    /// Attempts after the first, where the submission named a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, where the submission named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_limit: Option<u64>,
    /// How far it says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView>,
    /// Its attempts, the first one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
    /// What happens next and when; absent where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// When its caller asked for its end, where a worker had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    cancel_requested_at: Option<String>,
    /// What it gave, where it is completed: its job's output.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why its last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<TaskError>,
}

/// How far a task says it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// What is done, in units of the job's own.
    done: u64,
    /// What there is to do, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    attempt: usize,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// `running`, `completed`, `failed`, `continued` (its worker's time was over, and another attempt
    /// goes on), `cancelled`, or `lost` (its worker died).
    outcome: String,
    /// Which worker made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<TaskError>,
}

/// What happens next to a task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Next {
    /// `attempt`, or `cancel` where its worker is asked to stop; of a running task, the attempt that
    /// follows should its worker die.
    action: &'static str,
    /// When, at the earliest; absent for as soon as a worker is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    at: Option<String>,
}

impl TaskView {
    /// A record at the time `now`, in milliseconds since the Unix epoch.
    pub fn new(record: TaskRecord, now: u64) -> TaskView {
        let state = state_at(&record, now);
        let ready = record.options.eta.unwrap_or(record.created_at);
        let wait = |started: u64| started.saturating_sub(ready);
        TaskView {
            task_id: record.id,
            state,
            run: record.run,
            priority: record.options.priority.as_str(),
            created_at: time(record.created_at),
            eta: record.options.eta.map(time),
            expires: record.options.expires.map(time),
            started_at: record.started_at.map(time),
            finished_at: record.finished_at.map(time),
            // Of a later run nobody knows since when it could have begun.
            queue_wait_ms: record.started_at.filter(|_| record.run == 1).map(wait),
            max_retries: record.options.max_retries,
            time_limit: record.options.time_limit,
            progress: record.progress.as_ref().map(ProgressView::new),
            attempts: Some(attempts(&record)),
            next: next(&record, state),
            cancel_requested_at: record.cancel_requested_at.map(time),
            job: record.job,
            caller: record.caller,
            result: record.result.filter(|_| state == State::Completed),
            error: record.error,
        }
    }

    /// A record in a list, without its result and its attempts.
    pub fn listed(record: TaskRecord, now: u64) -> TaskView {
        TaskView {
            result: None,
            attempts: None,
            ..TaskView::new(record, now)
        }
    }
}

impl ProgressView {
    fn new(progress: &Progress) -> ProgressView {
        ProgressView {
            done: progress.done,
            total: progress.total,
            message: progress.message.clone(),
        }
    }
}

/// A scheduled task whose time has come waits for a worker like any other.
fn state_at(record: &TaskRecord, now: u64) -> State {
    let due = record.options.eta.is_none_or(|eta| eta <= now);
    match record.state {
        State::Scheduled if due => State::Pending,
        state => state,
    }
}

fn next(record: &TaskRecord, state: State) -> Option<Next> {
    let attempt = |at: Option<u64>| {
        Some(Next {
            action: "attempt",
            at: at.map(time),
        })
    };
    match state {
        State::Scheduled => attempt(record.options.eta),
        State::Pending => attempt(None),
        State::Retrying => attempt(record.next_at),
        State::Running if record.cancel_requested_at.is_some() => Some(Next {
            action: "cancel",
            at: None,
        }),
        State::Running => attempt(record.lease_until),
        State::Completed | State::Failed | State::Cancelled | State::Expired => None,
    }
}

fn attempts(record: &TaskRecord) -> Vec<AttemptView> {
    let last = record.attempts.len();
    let view = |(at, attempt): (usize, &Attempt)| {
        let open = match record.state {
            State::Running if at + 1 == last => "running",
            _ => "lost",
        };
        AttemptView {
            attempt: at + 1,
            started_at: time(attempt.started_at),
            ended_at: attempt.ended_at.map(time),
            outcome: attempt.outcome.clone().unwrap_or(open.to_owned()),
            worker: attempt.worker.clone(),
            error: attempt.error.clone(),
        }
    };
    record.attempts.iter().enumerate().map(view).collect()
}

/// A time as RFC 3339 has it, with milliseconds.
fn time(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
        .unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tasks::task::Options;

    const NOW: u64 = 1_900_000_000_000;

    fn record(state: State) -> TaskRecord {
        TaskRecord {
            id: Uuid::nil(),
            job: Some("process_data".to_owned()),
            state,
            run: 1,
            options: Options::default(),
            caller: None,
            fingerprint: None,
            created_at: NOW - 5_000,
            started_at: None,
            finished_at: None,
            next_at: None,
            lease_until: None,
            cancel_requested_at: None,
            progress: None,
            attempts: Vec::new(),
            result: None,
            error: None,
        }
    }

    fn view(record: TaskRecord) -> Value {
        serde_json::to_value(TaskView::new(record, NOW)).unwrap()
    }

    #[test]
    fn a_new_task_tells_what_it_waits_for() {
        assert_eq!(
            view(record(State::Pending)),
            json!({
                "task_id": "00000000-0000-0000-0000-000000000000",
                "job": "process_data",
                "state": "pending",
                "run": 1,
                "priority": "normal",
                "created_at": "2030-03-17T17:46:35.000Z",
                "attempts": [],
                "next": {"action": "attempt"},
            })
        );
    }

    #[test]
    fn a_scheduled_task_is_pending_once_its_time_has_come() {
        let mut scheduled = record(State::Scheduled);
        scheduled.options.eta = Some(NOW + 1);
        let seen = view(scheduled);
        assert_eq!(seen["state"], "scheduled");
        assert_eq!(seen["next"]["at"], "2030-03-17T17:46:40.001Z");
        let mut due = record(State::Scheduled);
        due.options.eta = Some(NOW);
        assert_eq!(view(due)["state"], "pending");
    }

    #[test]
    fn an_attempt_without_an_end_runs_or_is_lost() {
        let mut running = record(State::Running);
        running.started_at = Some(NOW - 4_000);
        running.lease_until = Some(NOW + 60_000);
        for started_at in [NOW - 4_000, NOW - 1_000] {
            running.attempts.push(Attempt {
                started_at,
                ended_at: None,
                outcome: None,
                worker: None,
                error: None,
            });
        }
        let seen = view(running);
        assert_eq!(seen["attempts"][0]["outcome"], "lost");
        assert_eq!(seen["attempts"][1]["outcome"], "running");
        assert_eq!(seen["queue_wait_ms"], 1_000);
        assert_eq!(seen["next"]["at"], "2030-03-17T17:47:40.000Z");
    }
}
