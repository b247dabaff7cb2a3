//! Tasks with a delay beyond SQS' maximum: a one-time schedule sends their message.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::service::Service;

/// Submits a task that is due in twenty minutes. Returns the task's id and its schedule.
fn later(service: &Service) -> (String, Value) {
    let task = json!({"job": "process_data", "input": {"a": 1}, "options": {"countdown": 1200}});
    let id = service.submit(&task);
    assert_eq!(service.task(&id)["state"], "scheduled");
    let schedule = service.schedule(&id).expect("a schedule");
    assert_eq!(schedule["ActionAfterCompletion"], "DELETE");
    (id, schedule)
}

pub fn are_deleted_with_their_tasks(service: &Service) {
    let (id, _) = later(service);
    let cancelled = service.delete(&format!("/tasks/{id}"));
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert!(service.schedule(&id).is_none(), "the schedule still exists");
    assert_eq!(service.delete(&format!("/tasks/{id}")).status, 200, "again");
    // A retry of a cancelled task runs at once.
    let retried = service.post(&format!("/tasks/{id}/retry"), "");
    assert_eq!(retried.status, 202, "{retried:?}");
    service.until_state(&id, "completed");
}

pub fn send_their_task_s_message_once(service: &Service) {
    let (id, mut schedule) = later(service);
    // To avoid a wait of twenty minutes, the test moves the schedule and the message's eta to now.
    let mut message: Value =
        serde_json::from_str(schedule["Target"]["Input"].as_str().unwrap()).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    message["options"]["eta"] = u64::try_from(now.as_millis()).unwrap().into();
    schedule["Target"]["Input"] = message.to_string().into();
    schedule["ScheduleExpression"] = "at(2026-01-01T00:00:00)".into();
    service.reschedule(&id, &schedule);
    let done = service.until_state(&id, "completed");
    assert_eq!(done["attempts"].as_array().unwrap().len(), 1, "{done}");
    service.eventually("the schedule is deleted", || {
        service.schedule(&id).is_none().then_some(())
    });
}
