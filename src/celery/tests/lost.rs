//! What is lost on the way, and still ends for its clients: unreadable results, expired chords, queues that
//! are gone.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::chords::{chord, end, step};
use super::world::{RETENTION, World, on_one_thread};
use crate::celery::canvas::{Sender, apply};
use crate::celery::decode;
use crate::celery::ends::Ends;
use crate::celery::origin::task_of;
use crate::celery::result::Keys;
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::{CELERY_RESULTS, Gate, Side, TASKS};
use crate::json::{Json, parse_str};
use crate::tasks::client::{RetryOutcome, Submitter};
use crate::tasks::format::EffectError;
use crate::tasks::id::TaskId;
use crate::tasks::record::{End, TaskError};
use crate::tasks::state::State;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// Deletes all rows of a task but its record.
async fn delete_chunks(world: &World) {
    let client = world.rows.client(&Gate::default());
    let rows = client.scan().table_name(TASKS).send().await.unwrap();
    for row in rows.items() {
        let part = row["part"].as_n().unwrap();
        if part != "0" {
            let delete = client.delete_item().table_name(TASKS);
            let delete = delete.key("id", row["id"].clone());
            delete
                .key("part", row["part"].clone())
                .send()
                .await
                .unwrap();
        }
    }
}

#[test]
fn a_stored_result_that_is_lost_is_a_failure_for_its_client() {
    on_one_thread(async {
        // Whichever call the worker dies at, the client gets a result or a failure.
        let mut lost = 0;
        for call in 0..12 {
            let mut world = World::new();
            let long = "x".repeat(100 * 1024);
            let signature = format!(
                r#"{{"task":"tasks.echo","args":["{long}"],"options":{{"task_id":"a","link":[{}]}}}}"#,
                step("b", true, "")
            );
            world.submit(parse_str(&signature).unwrap()).await;
            world
                .deliver(0, 1, false, Gate::stopping(call, Side::After))
                .await;
            let has_ended = world.ended("a").await;
            if has_ended {
                delete_chunks(&world).await;
            }
            world.drain(true).await;
            match has_ended && end(&world, "a").await != "SUCCESS" {
                true => {
                    let expected = "RuntimeError('ResultLost: the stored result is unreadable')";
                    assert_eq!(end(&world, "a").await, expected, "call {call}");
                    lost += 1;
                }
                false => assert_eq!(end(&world, "a").await, "SUCCESS", "call {call}"),
            }
        }
        assert!(lost > 0);
    });
}

impl World {
    async fn ended(&self, id: &str) -> bool {
        let (tasks, id) = (self.tasks(&Gate::default()), TaskId::parse(id).unwrap());
        let record = tasks.get(&id).await.unwrap();
        record.is_some_and(|record| record.state.is_final())
    }
}

#[test]
fn the_unlock_task_with_a_large_input_goes_on_without_its_message() {
    on_one_thread(async {
        let mut world = World::new();
        let members: Vec<Value> = (0..50)
            .map(|n| json!([[format!("a{n}"), null], null]))
            .collect();
        let body: Value = serde_json::from_str(&step("c", true, "")).unwrap();
        let unlock = json!({"task": "celery.chord_unlock", "args": ["g", body],
            "kwargs": {"result": members}, "options": {"task_id": "u", "countdown": 60}});
        world.submit(parse_str(&unlock.to_string()).unwrap()).await;
        world.deliver(0, 1, false, Gate::default()).await;
        let (id, gate) = (TaskId::parse("u").unwrap(), Gate::default());
        let tasks = world.tasks(&gate);
        tasks.cancel(&Viewer::Everyone, &id).await.unwrap();
        assert!(world.ended("u").await);
        // The message is lost.
        world.queue.delete(["0".to_owned()]);
        for n in 0..50 {
            let member = step(&format!("a{n}"), false, "");
            world.submit(parse_str(&member).unwrap()).await;
        }
        world.drain(false).await;
        assert_eq!(end(&world, "c").await, "nothing");
        let submitter = Submitter::new(world.task_queue(&gate), tasks, None);
        let again = submitter.retry(&Viewer::Everyone, &id).await.unwrap();
        assert!(matches!(again, RetryOutcome::EffectsLeft), "{again:?}");
        world.drain(false).await;
        assert_eq!(end(&world, "c").await, "SUCCESS");
        assert_eq!(world.queue.dead_letters(), Vec::new());
    });
}

#[test]
fn an_unlock_task_that_outlives_the_results_fails_its_chord() {
    on_one_thread(async {
        let mut world = World::new();
        let body = step("c", true, "");
        let unlock = format!(
            r#"{{"task":"celery.chord_unlock","args":["g",{body}],"kwargs":{{
            "result":[[["gone",null],null]]}},"options":{{"task_id":"u"}}}}"#
        );
        world.submit(parse_str(&unlock).unwrap()).await;
        for _ in 0..5 {
            stopped::set(now_ms() + 60_000);
            world.deliver(0, 10, false, Gate::default()).await;
        }
        assert_eq!(end(&world, "c").await, "nothing");
        stopped::set(now_ms() + RETENTION.as_millis() as u64);
        world.drain(false).await;
        let expected =
            r#"ChordError("Dependency gone raised RuntimeError('the result is missing')")"#;
        assert_eq!(end(&world, "c").await, expected);
    });
}

#[test]
fn a_chord_that_outlives_its_group_fails() {
    on_one_thread(async {
        let mut world = World::new();
        let errback = step("e", true, "");
        let body = step("c", true, &format!(r#""link_error":[{errback}]"#));
        let chord = chord(&[step("a", false, ""), step("b", false, "")], &body);
        world.submit(chord).await;
        world.deliver(0, 1, false, Gate::default()).await;
        // As the table's TTL does it.
        let client = world.rows.client(&Gate::default());
        let delete = client.delete_item().table_name(CELERY_RESULTS);
        let key = AttributeValue::S(Keys::default().group("g"));
        delete.key("id", key).send().await.unwrap();
        stopped::set(now_ms() + RETENTION.as_millis() as u64 + 1_000);
        world.drain(false).await;
        let expected = "ChordError('GroupResult g no longer exists')";
        assert_eq!(end(&world, "c").await, expected);
        assert_eq!(end(&world, "e").await, "SUCCESS");
    });
}

/// A task of Celery with a remote body, and the end of its run with these calls.
async fn ended(world: &World, signature: Json, state: State, calls: Value) -> (Task, End, Ends) {
    let sender = Sender {
        id: "client",
        root_id: None,
        seed: "client",
        now: now_ms(),
        default_queue: "celery",
        origin: "client",
        trace: None,
    };
    let sent = apply(&sender, signature, &[]).unwrap();
    let ends = world.ends(&Gate::default());
    for chord in &sent.chords {
        ends.results.begin_chord(chord).await.unwrap();
    }
    let message = decode(&sent.messages[0].body).unwrap();
    let task = task_of(message, now_ms(), true).unwrap();
    let end = End {
        state,
        run: 1,
        attempt: 1,
        worker: None,
        result: None,
        error: None,
        calls: Some(RawValue::from_string(calls.to_string()).unwrap()),
        is_rejected: false,
        finished_at: now_ms(),
    };
    (task, end, ends)
}

/// A call that sends the message of a signature to a queue that has been taken out of the configuration.
fn send(signature: &str) -> Value {
    let sender = Sender {
        id: "a",
        root_id: None,
        seed: "a",
        now: now_ms(),
        default_queue: "gone",
        origin: "worker",
        trace: None,
    };
    let sent = apply(&sender, parse_str(signature).unwrap(), &[]).unwrap();
    json!({"send": {"queue_url": "http://sqs/gone", "body": sent.messages[0].body}})
}

#[test]
fn the_tasks_of_a_message_that_cannot_be_sent_fail() {
    on_one_thread(async {
        let world = World::new();
        let rest = format!(
            r#""chain":[{},{}]"#,
            step("d", true, ""),
            step("c", true, "")
        );
        let result = STANDARD.encode(r#"{"status":"SUCCESS","result":1}"#);
        let store = json!({"store": {"table": CELERY_RESULTS, "id": Keys::default().task("a"),
                                     "result": result, "timestamp": 1}});
        let calls = json!([send(&step("b", false, &rest)), store]);
        let signature = parse_str(&step("a", false, "")).unwrap();
        let (task, end_of_a, ends) = ended(&world, signature, State::Completed, calls).await;
        for _ in 0..2 {
            let performed = ends.perform(&task, &end_of_a).await;
            assert!(
                matches!(performed, Err(EffectError::Permanent(_))),
                "{performed:?}"
            );
            assert_eq!(end(&world, "a").await, "SUCCESS");
            for id in ["b", "c", "d"] {
                let end = end(&world, id).await;
                assert!(end.contains("is not configured"), "{id}: {end}");
            }
        }
    });
}

#[test]
fn a_task_that_cannot_go_on_elsewhere_fails_with_its_chord() {
    on_one_thread(async {
        let world = World::new();
        let chord = chord(&[step("a", false, "")], &step("c", true, ""));
        let calls = json!([send(&step("a", false, r#""retries":1"#))]);
        let (task, end_of_a, ends) = ended(&world, chord, State::Moved, calls).await;
        let performed = ends.perform(&task, &end_of_a).await;
        assert!(
            matches!(performed, Err(EffectError::Permanent(_))),
            "{performed:?}"
        );
        let failed = end(&world, "a").await;
        assert!(failed.contains("is not configured"), "{failed}");
        let body = end(&world, "c").await;
        assert!(body.starts_with("ChordError("), "{body}");
    });
}

#[test]
fn a_moved_task_has_no_result() {
    on_one_thread(async {
        let world = World::new();
        let signature = parse_str(&step("a", false, "")).unwrap();
        let (task, mut moved, ends) = ended(&world, signature, State::Moved, json!([])).await;
        ends.perform(&task, &moved).await.unwrap();
        moved.calls = None;
        ends.perform(&task, &moved).await.unwrap();
        assert_eq!(end(&world, "a").await, "nothing");
    });
}

#[test]
fn an_error_of_a_function_keeps_its_class_and_its_traceback() {
    on_one_thread(async {
        let world = World::new();
        let signature = parse_str(&step("a", false, "")).unwrap();
        let (task, mut failed, ends) = ended(&world, signature, State::Failed, json!([])).await;
        let error = TaskError::new("Timeout", "late");
        failed.calls = None;
        failed.error = Some(TaskError {
            traceback: Some("Traceback of Python".to_owned()),
            module: Some("app.errors".to_owned()),
            ..error
        });
        ends.perform(&task, &failed).await.unwrap();
        let stored = world.result("a").await.unwrap();
        let exception = stored.exception().unwrap();
        assert_eq!(exception.exc_type, "Timeout");
        assert_eq!(exception.exc_module.as_deref(), Some("app.errors"));
        assert_eq!(exception.exc_message, ["late".into()]);
        assert_eq!(stored.traceback.as_deref(), Some("Traceback of Python"));
    });
}
