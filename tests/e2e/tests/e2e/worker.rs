//! Killed workers, duplicate messages, poison messages and dead-letter queues.

use serde_json::json;

use crate::service::Service;

fn message(task_id: &str, job: &str, input: &serde_json::Value) -> String {
    json!({"v": 1, "id": task_id, "job": job, "submitted_at": 1, "input": input}).to_string()
}

pub fn a_killed_worker_does_not_lose_its_task(service: &Service) {
    // The worker waits for this answer, so the kill hits it in the middle of the task.
    let source = service.upstream("/data/people.jsonl?delay_ms=4000");
    let task_id = service.process(&json!({"source_url": source}).to_string());
    service.eventually("the worker requests the source", || {
        (service.asked("/data/people.jsonl") == 1).then_some(())
    });
    let pids = service.pids_of("worker");
    assert!(!pids.is_empty());
    pids.into_iter().for_each(local_stack::process::kill_now);
    assert_eq!(
        service.get(&format!("/result/{task_id}")).json()["status"],
        "pending"
    );
    let result = service.result(&task_id);
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(service.asked("/data/people.jsonl"), 2, "two attempts");
}

pub fn a_duplicate_message_runs_once(service: &Service) {
    let task_id = "00000000-0000-4000-8000-000000000002";
    let source = json!({"urls": [service.upstream("/json/2?delay_ms=500")]});
    let twice = message(task_id, "fetch_urls", &source);
    service.send(&twice);
    service.send(&twice);
    assert_eq!(service.result(task_id)["status"], "completed");
    // A task sent later has ended, so the worker has received the duplicate, or the duplicate waits
    // for the lease.
    let after = service.process("{}");
    assert_eq!(service.result(&after)["status"], "completed");
    assert_eq!(service.asked("/json/2"), 1);
}

pub fn poison_messages_go_to_the_dead_letter_queue(service: &Service) {
    let task_id = "00000000-0000-4000-8000-000000000003";
    let unknown = message(task_id, "no_such_job", &json!(1));
    service.send(&unknown);
    service.send("this is no task");
    let result = service.result(task_id);
    assert_eq!(
        (&result["status"], &result["error"]["type"]),
        (&json!("failed"), &json!("UnknownJob"))
    );
    service.eventually(
        "both messages are in the dead-letter queue with their reasons",
        || {
            let kept = service.dead_letters();
            let reason = |body: &str| {
                kept.iter()
                    .find(|(kept, _)| kept == body)
                    .map(|(_, reason)| reason)
            };
            let unknown = reason(&unknown)?.contains("no_such_job");
            let poison = !reason("this is no task")?.is_empty();
            (unknown && poison).then_some(())
        },
    );
}

pub fn dead_lettered_tasks_fail_and_can_run_again(service: &Service) {
    const QUEUE: &str = "tasks-high";
    let before = service.give_up_after(QUEUE, 1);
    // The first attempt fails. Before a second attempt SQS moves the message to the dead-letter
    // queue.
    let source = service.upstream("/status/503");
    let id = service.submit(&json!({
        "job": "process_data",
        "input": {"source_url": source},
        "options": {"priority": "high", "max_retries": 5},
    }));
    let failed = service.until_state(&id, "failed");
    service.give_up_after(QUEUE, before);
    assert_eq!(failed["error"]["type"], "DeadLettered", "{failed}");
    let attempts = failed["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{failed}");
    // The task fails before its message is sent to the dead-letter queue.
    service.eventually("the message is in the dead-letter queue", || {
        let kept = service.dead_letters();
        kept.iter()
            .any(|(body, _)| body.contains(&id))
            .then_some(())
    });

    // A task that no worker has ever received.
    let id = "00000000-0000-4000-8000-000000000005";
    service.send_to(
        "undelivered",
        &message(id, "process_data", &json!({"a": 1})),
    );
    let failed = service.eventually("the task has failed", || {
        let task = service.get(&format!("/tasks/{id}"));
        (task.status == 200).then(|| task.json())
    });
    assert_eq!(failed["error"]["type"], "DeadLettered", "{failed}");
    let retried = service.post(&format!("/tasks/{id}/retry"), "");
    assert_eq!(retried.status, 202, "{retried:?}");
    let done = service.until_state(id, "completed");
    assert_eq!(done["run"], 2);
}
