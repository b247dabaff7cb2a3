//! Single tasks, calls of tasks, workers and refusals.

use super::*;

#[tokio::test]
async fn a_task_is_shown_with_its_times_and_texts() {
    let world = world();
    let task = world.submit("a", "ada", "add", NOW - 500).await;
    stopped::set(NOW + 1_000);
    world.complete(&task, r#"{"sum":[3,null,"x"]}"#).await;
    let info = world.get("admin", "/api/task/info/a").await;
    for (name, value) in [
        ("uuid", json!("a")),
        ("name", json!("add")),
        ("state", json!("SUCCESS")),
        ("received", json!(1_795_651_774.5)),
        ("started", json!(1_795_651_776.0)),
        ("succeeded", json!(1_795_651_776.0)),
        ("failed", json!(null)),
        ("runtime", json!(0.0)),
        ("args", json!("()")),
        ("kwargs", json!("{'x': 2, 'who': 'Ada'}")),
        ("result", json!("{'sum': [3, None, 'x']}")),
        ("retries", json!(0)),
        ("worker", json!(HOST)),
        ("client", json!("ada")),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let result = world.get("admin", "/api/task/result/a").await;
    let expected = json!({"task-id": "a", "state": "SUCCESS", "result": {"sum": [3, null, "x"]}});
    assert_eq!(result, expected);
}

#[tokio::test]
async fn a_call_becomes_a_task_of_its_caller() {
    let world = world();
    let path = "/api/task/async-apply/add";
    let body = r#"{"args":[1],"kwargs":{"y":"x"},"countdown":5,"expires":60,"queue":"celery"}"#;
    let (status, text) = world.ask("ada", "POST", path, body).await;
    assert_eq!(status, 200, "{text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["state"], "PENDING");
    let id = answer["task-id"].as_str().unwrap();
    let info = world.get("ada", &format!("/api/task/info/{id}")).await;
    for (name, value) in [
        ("name", json!("add")),
        ("state", json!("RECEIVED")),
        ("args", json!("(1,)")),
        ("kwargs", json!("{'y': 'x'}")),
        ("eta", json!("2026-11-26T00:09:40+00:00")),
        ("expires", json!("2026-11-26T00:10:35+00:00")),
        ("client", json!("ada")),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let record = world.tasks.get(&TaskId::parse(id).unwrap()).await.unwrap();
    let record = record.unwrap();
    assert_eq!(record.origin.as_deref(), Some("celery"));
    assert_eq!(record.effects, ["result"]);
    // The message is the service's own, in its own queue.
    let sent = world.sqs.calls("SendMessage");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["QueueUrl"], "http://sqs/1/service-tasks");
    assert_eq!(sent[0]["DelaySeconds"], 5);
    assert_eq!(
        unknown(id),
        world
            .ask("eve", "GET", &format!("/api/task/info/{id}"), "")
            .await
    );
}

#[tokio::test]
async fn a_task_of_another_worker_is_sent_to_its_queue() {
    let world = world();
    let body = r#"{"args":[1],"queue":"python"}"#;
    let path = "/api/task/send-task/theirs.add";
    let (status, _) = world.ask("admin", "POST", path, body).await;
    assert_eq!(status, 200);
    let sent = world.sqs.calls("SendMessageBatch");
    assert_eq!(sent[0]["QueueUrl"], OTHER);
    let (status, text) = world.ask("ada", "POST", path, body).await;
    assert_eq!(
        (status, &*text),
        (
            403,
            "a queue of another worker needs a key with the scope admin"
        )
    );
    let (status, text) = world
        .ask("admin", "POST", path, r#"{"queue":"nope"}"#)
        .await;
    assert_eq!(
        (status, &*text),
        (400, "the queue \"nope\" is not configured")
    );
}

#[tokio::test]
async fn a_wait_ends_with_its_time() {
    let world = world();
    let body = r#"{"timeout":0.01}"#;
    let (status, text) = world.ask("ada", "POST", "/api/task/apply/add", body).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["state"]), (200, &json!("PENDING")));
    assert_eq!(answer.get("result"), None);
}

#[tokio::test]
async fn what_has_no_meaning_here_is_refused_with_the_reason() {
    let world = world();
    for (path, text) in [
        (
            "task/timeout/add?workername=celery@service&soft=1",
            "Failed to set timeouts: 'a time limit is set with the job or with the task'",
        ),
        (
            "task/rate-limit/add?workername=celery@service&ratelimit=1",
            "Failed to set rate limit: 'a task has no rate limit'",
        ),
        (
            "worker/shutdown/celery@service",
            "Failed to change 'celery@service': Lambda scales the worker, and the stack's template sets its queues",
        ),
    ] {
        let answer = world
            .ask("admin", "POST", &format!("/api/{path}"), "")
            .await;
        assert_eq!(answer, (403, text.to_owned()));
    }
    let answer = world
        .ask("admin", "POST", "/api/worker/pool/grow/nope", "")
        .await;
    assert_eq!(answer, (404, "Unknown worker 'nope'".to_owned()));
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_a_503_in_flowers_words() {
    let world = world();
    world.faults.fail("Query");
    let answer = world.ask("admin", "GET", "/api/tasks", "").await;
    assert_eq!(
        answer,
        (503, "Broker or result backend unavailable".to_owned())
    );
}

#[tokio::test]
async fn workers_are_the_stack_and_the_places_of_remote_jobs() {
    let world = world();
    let status = world.get("eve", "/api/workers?status=true").await;
    assert_eq!(
        status,
        json!({"celery@service": true, "bodies:live@service": true})
    );
    let workers = world.get("eve", "/api/workers?refresh=true").await;
    assert_eq!(workers[HOST]["registered"], json!(["add", "mul"]));
    assert_eq!(
        workers["bodies:live@service"]["registered"],
        json!(["python.*"])
    );
    assert_eq!(world.reads(), 0);
    let types = world.get("eve", "/api/task/types").await;
    assert_eq!(types, json!({"task-types": ["add", "mul", "python.*"]}));
    let queues = world.get("admin", "/api/queues/length").await;
    assert_eq!(
        queues,
        json!({"active_queues": [{"name": "celery", "messages": 2}]})
    );
}
