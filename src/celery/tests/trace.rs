//! The traces of workflows.

use super::chords::{chord, step};
use super::world::{World, on_one_thread};
use crate::clock::now_ms;
use crate::dynamodb::testing::Gate;
use crate::json::{Json, parse_str};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::trace::Trace;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const STATE: &str = "vendor=1";

/// The option with the headers that OpenTelemetry's instrumentation adds to a message.
fn in_trace() -> String {
    format!(r#""headers":{{"traceparent":"{PARENT}","tracestate":"{STATE}"}}"#)
}

async fn run(workflow: Json) -> World {
    let mut world = World::new();
    world.submit(workflow).await;
    world.drain(false).await;
    world
}

async fn record(world: &World, id: &str) -> TaskRecord {
    let id = TaskId::parse(id).unwrap();
    let tasks = world.tasks(&Gate::default());
    tasks.get(&id).await.unwrap().unwrap()
}

async fn trace(world: &World, id: &str) -> Trace {
    record(world, id).await.trace.unwrap()
}

#[test]
fn a_message_hands_its_trace_on_to_what_follows() {
    on_one_thread(async {
        let callback = step("linked", true, "");
        let first = format!("{},\"link\":{callback}", in_trace());
        let steps = [step("a", false, &first), step("b", true, "")].join(",");
        let chain = format!(
            r#"{{"task":"celery.chain","subtask_type":"chain","kwargs":{{"tasks":[{steps}]}}}}"#
        );
        let world = run(parse_str(&chain).unwrap()).await;
        let given = Trace::new(PARENT, Some(STATE)).unwrap();
        assert_eq!(trace(&world, "a").await, given);
        for id in ["b", "linked"] {
            // The span is that of the attempt that ended.
            assert_eq!(trace(&world, id).await, given.within("a/1/1"), "{id}");
        }
    });
}

#[test]
fn the_body_of_a_chord_goes_on_in_the_trace_of_a_member() {
    on_one_thread(async {
        let members = ["a", "b"].map(|name| step(name, false, &in_trace()));
        let world = run(chord(&members, &step("c", true, ""))).await;
        let given = Trace::new(PARENT, Some(STATE)).unwrap();
        let body = trace(&world, "c").await;
        let spans = ["a/1/1", "b/1/1"].map(|name| given.within(name));
        assert!(spans.contains(&body), "{body:?}");
    });
}

#[test]
fn a_message_without_a_valid_trace_has_no_trace() {
    on_one_thread(async {
        let headers = r#""headers":{"traceparent":"00-1-2-3","tracestate":"a=1"}"#;
        let world = run(parse_str(&step("a", false, headers)).unwrap()).await;
        let record = record(&world, "a").await;
        assert_eq!(record.trace, None);
        assert!(record.finished_at.is_some_and(|at| at <= now_ms()));
    });
}
