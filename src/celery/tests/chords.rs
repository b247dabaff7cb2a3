//! Ends of chords that seldom happen, and what cannot be sent or stored.

use serde_json::Value;

use super::world::{World, on_one_thread, result_of};
use crate::celery::result::Keys;
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::{CELERY_RESULTS, Gate};
use crate::json::{Json, parse_str};

/// A signature of the job of the world, with these options besides its id.
pub fn step(name: &str, has_before: bool, options: &str) -> String {
    let before = if has_before { "" } else { "null," };
    let options = if options.is_empty() {
        String::new()
    } else {
        format!(",{options}")
    };
    format!(
        r#"{{"task":"step","args":[{before}"{name}",""],"options":{{"task_id":"{name}"{options}}}}}"#
    )
}

pub fn chord(header: &[String], body: &str) -> Json {
    let header = header.join(",");
    let text = format!(
        r#"{{"task":"celery.chord","subtask_type":"chord","options":{{"task_id":"g"}},"kwargs":{{
        "header":{{"task":"celery.group","subtask_type":"group","kwargs":{{"tasks":[{header}]}}}},
        "body":{body}}}}}"#
    );
    parse_str(&text).unwrap()
}

fn chain(steps: &[String]) -> Json {
    let steps = steps.join(",");
    let text = format!(
        r#"{{"task":"celery.chain","subtask_type":"chain","kwargs":{{"tasks":[{steps}]}}}}"#
    );
    parse_str(&text).unwrap()
}

/// The name of the state, and the exception's class and text.
pub async fn end(world: &World, id: &str) -> String {
    let Some(found) = world.result(id).await else {
        return "nothing".to_owned();
    };
    let exception = found.exception().map(|exception| exception.repr());
    exception.unwrap_or(found.status)
}

fn values(names: &[&str]) -> Value {
    let values = names.iter().map(|name| result_of(name, &Value::Null));
    values.collect::<Vec<Value>>().into()
}

#[test]
fn a_member_that_ignores_results_fails_the_chord() {
    on_one_thread(async {
        let mut world = World::new();
        let ignoring = step("b", false, r#""ignore_result":true"#);
        let chord = chord(&[step("a", false, ""), ignoring], &step("c", true, ""));
        world.submit(chord).await;
        world.drain(false).await;
        let expected = r#"ChordError("Dependency b raised RuntimeError('the result is missing')")"#;
        assert_eq!(end(&world, "c").await, expected);
    });
}

#[test]
fn a_count_of_celery_for_a_member_that_has_not_ended_makes_the_chord_wait() {
    on_one_thread(async {
        let mut world = World::new();
        let chord = chord(
            &[step("a", false, ""), step("b", false, "")],
            &step("c", true, ""),
        );
        world.submit(chord).await;
        // A worker of Celery counts `a`, whose message it then gets again.
        let client = world.rows.client(&Gate::default());
        let count = client.update_item().table_name(CELERY_RESULTS);
        let key = aws_sdk_dynamodb::types::AttributeValue::S(Keys::default().chord("g"));
        let one = aws_sdk_dynamodb::types::AttributeValue::N("1".to_owned());
        let count = count
            .key("id", key)
            .update_expression("SET chord_count = chord_count + :num")
            .expression_attribute_values(":num", one);
        count.send().await.unwrap();
        world.deliver(0, 1, false, Gate::default()).await;
        assert_eq!(end(&world, "a").await, "SUCCESS");
        assert_eq!(end(&world, "c").await, "nothing", "`b` has not ended");
        world.drain(false).await;
        assert_eq!(end(&world, "c").await, "SUCCESS");
        let value = world.result("c").await.unwrap().result.to_string();
        assert_eq!(value, result_of("c", &values(&["a", "b"])).to_string());
    });
}

#[test]
fn a_chord_that_begins_again_after_its_end_sends_its_body_once() {
    on_one_thread(async {
        let mut world = World::new();
        let inner = chord(
            &[step("a", true, ""), step("b", true, "")],
            &step("c", true, ""),
        );
        let workflow = chain(&[step("first", false, ""), inner.to_string()]);
        // The first task's worker is slow to note that the effects are done.
        for call in 0..20 {
            world = World::new();
            world.submit(workflow.clone()).await;
            let side = crate::dynamodb::testing::Side::Before;
            world.deliver(0, 1, false, Gate::stopping(call, side)).await;
            for _ in 0..20 {
                stopped::set(now_ms() + 1);
                world.deliver(1, 10, false, Gate::default()).await;
            }
            world.drain(call % 2 == 0).await;
            let value = world.result("c").await.unwrap().result.to_string();
            let first = result_of("first", &Value::Null);
            let members = [result_of("a", &first), result_of("b", &first)];
            let expected = result_of("c", &members.to_vec().into());
            assert_eq!(value, expected.to_string(), "call {call}");
        }
        drop(world);
    });
}

#[test]
fn a_body_that_cannot_be_sent_fails_and_its_error_callback_runs() {
    on_one_thread(async {
        let mut world = World::new();
        let errback = step("e", true, "");
        let options = format!(r#""queue":"unknown","link_error":[{errback}]"#);
        let chord = chord(
            &[step("a", false, ""), step("b", false, "")],
            &step("c", true, &options),
        );
        world.submit(chord).await;
        world.drain(false).await;
        let expected = r#"ChordError('Callback error: the queue "unknown" is not configured')"#;
        assert_eq!(end(&world, "c").await, expected);
        assert_eq!(end(&world, "e").await, "SUCCESS");
    });
}

#[test]
fn a_chain_that_cannot_go_on_fails_to_its_end() {
    on_one_thread(async {
        let mut world = World::new();
        let lost = step("b", true, r#""queue":"unknown""#);
        let workflow = chain(&[step("a", false, ""), lost, step("c", true, "")]);
        world.submit(workflow).await;
        world.drain(false).await;
        for id in ["a", "b", "c"] {
            let end = end(&world, id).await;
            assert!(end.contains("is not configured"), "{id}: {end}");
        }
    });
}

#[test]
fn an_error_callback_that_cannot_be_sent_keeps_nothing_back() {
    on_one_thread(async {
        let mut world = World::new();
        let errback = step("e", true, r#""queue":"unknown""#);
        let failing = step("a", false, &format!(r#""link_error":[{errback}]"#));
        let failing = failing.replace(r#""a","""#, r#""a","p""#);
        let chord = chord(&[failing, step("b", false, "")], &step("c", true, ""));
        world.submit(chord).await;
        world.drain(false).await;
        assert_eq!(end(&world, "a").await, "ValueError('never')");
        let expected = r#"ChordError("Dependency a raised ValueError('never')")"#;
        assert_eq!(end(&world, "c").await, expected);
        let [(_, reason)] = &world.queue.dead_letters()[..] else {
            panic!("one dead letter");
        };
        assert!(reason.contains("unknown"), "{reason}");
    });
}

#[test]
fn an_extended_result_over_the_size_of_a_row_goes_without_its_arguments() {
    on_one_thread(async {
        let mut world = World::new();
        world.extended = true;
        let long = "x".repeat(420 * 1024);
        let signature =
            format!(r#"{{"task":"step","args":["{long}","a",""],"options":{{"task_id":"a"}}}}"#);
        world.submit(parse_str(&signature).unwrap()).await;
        world
            .submit(parse_str(&step("b", false, "")).unwrap())
            .await;
        world.drain(false).await;
        assert_eq!(end(&world, "a").await, "SUCCESS");
        assert_eq!(end(&world, "b").await, "SUCCESS");
        assert_eq!(world.queue.dead_letters(), Vec::new());
    });
}

#[test]
fn a_long_chain_as_a_member_neither_overflows_the_stack_nor_hangs() {
    on_one_thread(async {
        let mut world = World::new();
        let steps = |count| vec![r#"{"task":"t"}"#.to_owned(); count];
        let first = |count| {
            let member = chain(&steps(count)).to_string();
            // A callback is made ready when it is sent, not by the client.
            let inner = chord(&[member], &step("c", true, ""));
            let link = format!(r#""link":[{inner}]"#);
            parse_str(&step(&format!("first{count}"), false, &link)).unwrap()
        };
        for count in [400, 20_000] {
            world.submit(first(count)).await;
        }
        world.drain(false).await;
        let end = end(&world, "first20000").await;
        assert!(end.starts_with("RuntimeError('Unsendable"), "{end}");
    });
}

#[test]
fn the_unlock_task_of_old_clients_joins_a_chord() {
    on_one_thread(async {
        let mut world = World::new();
        // Such a client writes no counter.
        let body = step("c", true, "");
        let unlock = format!(
            r#"{{"task":"celery.chord_unlock","args":["g",{body}],"kwargs":{{"interval":1,
            "max_retries":null,"result":[[["a",null],null],[["b",null],null]]}},
            "options":{{"task_id":"u","ignore_result":true,"countdown":1}}}}"#
        );
        world.submit(parse_str(&unlock).unwrap()).await;
        world
            .submit(parse_str(&step("a", false, "")).unwrap())
            .await;
        for _ in 0..5 {
            stopped::set(now_ms() + 2_000);
            world.deliver(0, 10, false, Gate::default()).await;
        }
        assert_eq!(end(&world, "c").await, "nothing");
        world
            .submit(parse_str(&step("b", false, "")).unwrap())
            .await;
        world.drain(false).await;
        let value = world.result("c").await.unwrap().result.to_string();
        assert_eq!(value, result_of("c", &values(&["a", "b"])).to_string());
    });
}

#[test]
fn a_fifo_queue_gets_a_group_and_an_id_and_a_standard_queue_gets_none() {
    on_one_thread(async {
        let world = World::new();
        for (queue, wanted) in [("fifo", true), ("celery", false)] {
            let options = format!(r#""queue":"{queue}","MessageDeduplicationId":"d""#);
            let signature = parse_str(&step("a", false, &options)).unwrap();
            world.submit(signature).await;
            let sent = world.queue.last_entry();
            assert_eq!(sent["MessageDeduplicationId"].is_string(), wanted, "{sent}");
            assert_eq!(sent["MessageGroupId"].is_string(), wanted, "{sent}");
        }
    });
}
