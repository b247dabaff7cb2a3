//! What callers see and change who see only own tasks.

use super::*;

/// What a caller who sees only own tasks gets of another caller's tasks, by every route.
#[tokio::test]
async fn another_callers_tasks_are_not_there() {
    let world = world();
    world.submit("a", "ada", "add", NOW - 1).await;
    let running = world.submit("r", "ada", "add", NOW - 2).await;
    let claim = world.tasks.claim(&running, Duration::from_secs(60), "w");
    claim.await.unwrap();
    let eve = async |method, url: &str| world.ask("eve", method, url, "").await;
    assert_eq!(eve("GET", "/api/tasks").await, (200, "{}".to_owned()));
    assert_eq!(eve("GET", "/api/tasks?state=STARTED").await.1, "{}");
    assert_eq!(eve("GET", "/api/task/info/a").await, unknown("a"));
    let pending = r#"{"task-id":"a","state":"PENDING"}"#;
    assert_eq!(eve("GET", "/api/task/result/a").await.1, pending);
    assert_eq!(eve("GET", "/api/task/result/a?timeout=1").await.1, pending);
    for action in ["revoke/a", "revoke/a?terminate=true", "abort/a"] {
        let answer = eve("POST", &format!("/api/task/{action}")).await;
        assert_eq!(answer, unknown("a"), "{action}");
    }
    for url in ["/api/queues/length", "/metrics"] {
        assert_eq!(eve("GET", url).await.0, 403, "{url}");
    }
    let worker = world
        .get("eve", "/api/workers?workername=celery@service")
        .await;
    for list in ["active", "reserved", "scheduled", "revoked"] {
        assert_eq!(worker[HOST][list], json!([]), "{list}");
    }
    let worker = world
        .get("ada", "/api/workers?workername=celery@service")
        .await;
    assert_eq!(worker[HOST]["active"][0]["id"], "r");
    // No call may be of another task, or act on another's workflow.
    for (path, body) in [
        ("async-apply/add", r#"{"task_id":"a"}"#),
        ("apply/add", r#"{"link":[{"task":"add"}]}"#),
        ("send-task/add", r#"{"headers":{"x":1}}"#),
        (
            "send-task/add",
            r#"{"chord":{"task":"add"},"group_id":"g"}"#,
        ),
        ("send-task/celery.chord_unlock", r#"{"args":["g"]}"#),
    ] {
        let answer = world
            .ask("eve", "POST", &format!("/api/task/{path}"), body)
            .await;
        assert_eq!(answer.0, 403, "{path}: {}", answer.1);
    }
    assert_eq!(world.state("a").await, State::Pending);
    let record = world.tasks.get(&TaskId::parse("r").unwrap()).await.unwrap();
    assert_eq!(record.unwrap().cancel_requested_at, None);
    assert!(world.sqs.calls("SendMessage").is_empty());
}

#[tokio::test]
async fn a_caller_revokes_own_tasks() {
    let world = world();
    world.submit("a", "ada", "add", NOW).await;
    let running = world.submit("r", "ada", "add", NOW).await;
    let claim = world.tasks.claim(&running, Duration::from_secs(60), "w");
    claim.await.unwrap();
    let ada = async |url: &str| world.ask("ada", "POST", url, "").await;
    assert_eq!(ada("/api/task/revoke/a").await, message("a", "Revoked"));
    assert_eq!(world.state("a").await, State::Cancelled);
    let is_asked = async || {
        let record = world.tasks.get(&running.id).await.unwrap().unwrap();
        record.cancel_requested_at.is_some()
    };
    assert_eq!(ada("/api/task/revoke/r").await, message("r", "Revoked"));
    assert!(!is_asked().await);
    assert_eq!(ada("/api/task/abort/r").await, message("r", "Aborted"));
    assert!(is_asked().await);
    assert_eq!(ada("/api/task/revoke/new").await, unknown("new"));
    // Whoever sees all tasks also revokes a task that is still to come.
    let coming = world.ask("admin", "POST", "/api/task/revoke/new", "").await;
    assert_eq!(coming, message("new", "Revoked"));
    assert_eq!(world.state("new").await, State::Cancelled);
}
