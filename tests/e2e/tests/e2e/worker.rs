//! Killed workers, duplicate messages, poison messages and dead-letter queues.

use serde_json::{Value, json};

use crate::service::Service;

fn message(task_id: &str, job: &str, input: &Value) -> String {
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

pub fn dead_letters_are_shown_and_handled(service: &Service) {
    let id = "00000000-0000-4000-8000-000000000006";
    let poison = "this is no task either";
    service.send(&message(id, "no_such_job_either", &json!(1)));
    service.send(poison);
    let is_ours = |letter: &Value| letter["task_id"] == id || letter["body"] == poison;
    let ours = || -> Vec<Value> {
        let listed = service.get("/dead-letters/?limit=100");
        assert_eq!(listed.status, 200, "{listed:?}");
        let listed = listed.json();
        let letters = listed.as_array().unwrap().iter();
        letters.filter(|letter| is_ours(letter)).cloned().collect()
    };
    let both =
        |what: &str| service.eventually(what, || Some(ours()).filter(|letters| letters.len() == 2));
    let letters = both("both letters are listed");
    let of_task = letters.iter().find(|letter| letter["task_id"] == id);
    let of_task = of_task.unwrap();
    assert_eq!(of_task["job"], "no_such_job_either");
    let reason = of_task["reason"].as_str().unwrap();
    assert!(reason.contains("no_such_job_either"), "{reason}");
    assert!(of_task["sent_at"].is_string() && of_task["receives"].is_number());
    let seen: Vec<_> = letters.iter().map(|letter| letter["id"].clone()).collect();

    let handle = |action: &str, letters: &[Value]| -> Vec<Value> {
        let receipts: Vec<_> = letters.iter().map(|letter| &letter["receipt"]).collect();
        let body = json!({"receipts": receipts}).to_string();
        let handled = service.post(&format!("/dead-letters/{action}"), &body);
        assert_eq!(handled.status, 200, "{handled:?}");
        let outcomes = handled.json()["outcomes"].as_array().unwrap().clone();
        outcomes.iter().map(|one| one["status"].clone()).collect()
    };
    assert_eq!(handle("retry", &letters), [200, 200]);
    assert_eq!(handle("delete", &letters), [404, 404], "they are gone");
    // The task runs again, and the poison is in its queue again. Both become letters again.
    let again = service.eventually("both letters come back", || {
        let is_new = |letter: &Value| !seen.contains(&letter["id"]);
        Some(ours()).filter(|letters| letters.len() == 2 && letters.iter().all(is_new))
    });
    let task = service.task(id);
    assert_eq!(
        (&task["run"], &task["state"]),
        (&json!(2), &json!("failed"))
    );
    assert_eq!(handle("delete", &again), [200, 200]);
    assert!(ours().is_empty());
    assert_eq!(service.get("/dead-letters/?limit=x").status, 422);
    assert_eq!(
        service
            .post("/dead-letters/burn", r#"{"receipts":["a"]}"#)
            .status,
        422
    );
}
