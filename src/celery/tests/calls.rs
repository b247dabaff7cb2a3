//! The calls to AWS of one task, and what a repeat of what its end sets off sends.

use serde_json::json;

use super::chords::{end, step};
use super::world::{World, on_one_thread};
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::{Gate, Side};
use crate::json::parse_str;

/// A task with a remote body, under this id.
fn remote(id: &str) -> String {
    step(id, false, "").replace("\"step\"", "\"remote.step\"")
}

/// The numbers of the calls of one batch with this task: updates, transactions and puts. One update is that of
/// the batch's numbers, one put that of the state STARTED, if the task has a result.
async fn calls_of(world: &mut World, signature: &str) -> [usize; 3] {
    let count = |world: &World| {
        ["UpdateItem", "TransactWriteItems", "PutItem"].map(|name| world.faults.calls(name))
    };
    world.submit(parse_str(signature).unwrap()).await;
    let before = count(world);
    world.deliver(0, 1, false, Gate::default()).await;
    let after = count(world);
    assert_eq!(world.queue.next_visible(), None, "one delivery is enough");
    std::array::from_fn(|at| after[at] - before[at])
}

#[test]
fn a_task_alone_ends_in_one_transaction_with_its_result() {
    on_one_thread(async {
        let mut world = World::new();
        let failing = step("f", false, "").replace("\"\"]", "\"p\"]");
        let ignored = step("i", false, r#""ignore_result":true"#);
        let large = json!({"task": "tasks.echo", "args": ["x".repeat(5_000)],
            "options": {"task_id": "l"}});
        for (id, signature, calls, status) in [
            ("a", step("a", false, ""), [2, 1, 1], "SUCCESS"),
            ("r", remote("r"), [2, 1, 1], "SUCCESS"),
            ("f", failing, [2, 1, 1], "ValueError('never')"),
            ("i", ignored, [3, 0, 0], "nothing"),
        ] {
            assert_eq!(calls_of(&mut world, &signature).await, calls, "{id}");
            assert_eq!(end(&world, id).await, status);
        }
        // The input has a chunk of its own.
        assert_eq!(calls_of(&mut world, &large.to_string()).await, [4, 0, 3]);
        assert_eq!(end(&world, "l").await, "SUCCESS");
    });
}

#[test]
fn a_result_is_stored_when_its_table_answers_again() {
    on_one_thread(async {
        let mut world = World::new();
        world
            .submit(parse_str(&step("a", false, "")).unwrap())
            .await;
        let gone = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
        let gone = json!({"__type": gone, "message": "Requested resource not found"});
        world.faults.refuse("TransactWriteItems", gone);
        world.faults.fail("PutItem");
        world.deliver(0, 1, false, Gate::default()).await;
        let ends = |world: &World| {
            let states = world.faults.states("a");
            states.iter().filter(|state| *state == "completed").count()
        };
        assert_eq!(ends(&world), 1, "the end is not lost");
        assert_eq!(end(&world, "a").await, "nothing");
        world.faults.mend();
        world.drain(false).await;
        assert_eq!(ends(&world), 1);
        assert_eq!(end(&world, "a").await, "SUCCESS");
    });
}

#[test]
fn a_repeat_sends_the_same_messages_at_any_time() {
    let linked = format!(r#""link":[{}]"#, step("b", true, r#""countdown":100"#));
    on_one_thread(async {
        let mut repeats = 0;
        for call in 0..9 {
            let mut world = World::new();
            let signature = parse_str(&step("a", false, &linked)).unwrap();
            world.submit(signature).await;
            world
                .deliver(0, 1, false, Gate::stopping(call, Side::After))
                .await;
            stopped::set(now_ms() + 77_777);
            world.drain(true).await;
            assert_eq!(end(&world, "b").await, "SUCCESS");
            let mut sent = world.queue.bodies();
            sent.remove(0);
            repeats += sent.len() - 1;
            sent.dedup();
            assert_eq!(sent.len(), 1, "call {call}");
        }
        assert!(repeats > 0);
    });
}
