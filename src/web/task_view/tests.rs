use serde_json::{Value, json};

use super::*;
use crate::tasks::task::Options;

const NOW: u64 = 1_900_000_000_000;

fn record(state: State) -> TaskRecord {
    TaskRecord {
        input: None,
        id: uuid::Uuid::nil().into(),
        job: Some("process_data".to_owned()),
        state,
        run: 1,
        options: Options::default(),
        caller: None,
        fingerprint: None,
        origin: None,
        origin_data: None,
        schedule: None,
        trace: None,
        effects: Vec::new(),
        are_effects_done: false,
        created_at: NOW - 5_000,
        started_at: None,
        finished_at: None,
        next_at: None,
        lease_until: None,
        cancel_requested_at: None,
        progress: None,
        attempt: 0,
        attempts: Vec::new(),
        result: None,
        error: None,
    }
}

fn view(record: TaskRecord) -> Value {
    serde_json::to_value(TaskView::new(record, NOW)).unwrap()
}

#[test]
fn the_next_action_of_a_new_task_is_an_attempt() {
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
fn a_task_of_another_format_shows_its_origin_and_its_effects() {
    let mut ended = record(State::Failed);
    ended.origin = Some("celery".to_owned());
    ended.effects = vec!["result".to_owned(), "callbacks".to_owned()];
    let seen = view(ended);
    assert_eq!(seen["origin"], "celery");
    assert_eq!(seen["effects"], json!(["result", "callbacks"]));
    assert_eq!(seen["effects_done"], false);
}

#[test]
fn a_scheduled_task_that_is_due_is_pending() {
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
fn an_attempt_without_an_end_is_running_or_lost() {
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
