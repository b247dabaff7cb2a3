//! The places of tasks in their workflows, against what their ends set off.

use super::chords::{chord, step};
use super::world::{World, on_one_thread};
use crate::celery::workflow::{On, Workflow, workflow};
use crate::dynamodb::testing::Gate;
use crate::json::{Json, parse_str};
use crate::tasks::client::Reader;
use crate::tasks::id::TaskId;
use crate::tasks::viewer::Viewer;

async fn run(workflow: &Json) -> World {
    let mut world = World::new();
    world.submit(workflow.clone()).await;
    world.drain(false).await;
    world
}

async fn place(world: &World, id: &str) -> Option<Workflow> {
    let tasks = Reader::new(world.tasks(&Gate::default()));
    let id = TaskId::parse(id).unwrap();
    let mut record = tasks.find(&Viewer::Everyone, &id).await.unwrap().unwrap();
    let data = tasks.origin_data(&Viewer::Everyone, &mut record).await;
    let data = data.unwrap().expect("a task of Celery has an origin");
    workflow(id.as_str(), record.run, &data)
}

fn follows(place: &Workflow, on: On) -> Vec<String> {
    let follows = place.follows.iter().filter(|follow| follow.on == on);
    follows.map(|follow| follow.id.clone().unwrap()).collect()
}

fn chain(steps: &[String]) -> Json {
    let steps = steps.join(",");
    let text = format!(
        r#"{{"task":"celery.chain","subtask_type":"chain","kwargs":{{"tasks":[{steps}]}}}}"#
    );
    parse_str(&text).unwrap()
}

/// A step whose id the worker has to derive.
fn nameless(name: &str, has_before: bool) -> String {
    step(name, has_before, "").replace(&format!(r#""task_id":"{name}""#), r#""x":1"#)
}

#[test]
fn what_follows_has_the_ids_that_are_sent() {
    on_one_thread(async {
        let links = [nameless("linked", true), nameless("other", true)].join(",");
        let first = step("a", false, &format!(r#""link":[{links}]"#));
        let world = run(&chain(&[first, step("b", true, "")])).await;
        let place = place(&world, "a").await.unwrap();
        // The client of the simulation is the parent of what it sends.
        assert_eq!(place.root_id, "client");
        let sent = follows(&place, On::Success);
        assert_eq!(sent.len(), 3);
        assert!(sent.contains(&"b".to_owned()));
        for id in &sent {
            let found = super::places::place(&world, id).await.unwrap();
            assert_eq!(found.parent_id.as_deref(), Some("a"), "{id}");
            assert_eq!(found.root_id, "client");
        }
        assert!(place.follows.iter().all(|follow| follow.task == "step"));
    });
}

#[test]
fn what_follows_a_failure_is_told_apart() {
    on_one_thread(async {
        let errback = nameless("errback", true);
        let failing = step("a", false, &format!(r#""link_error":[{errback}]"#));
        let failing = failing.replace(r#""a","""#, r#""a","p""#);
        let world = run(&chain(&[failing, step("b", true, "")])).await;
        let place = place(&world, "a").await.unwrap();
        assert_eq!(follows(&place, On::Success), ["b"]);
        let sent = follows(&place, On::Failure);
        assert_eq!(sent.len(), 1);
        assert!(super::places::place(&world, &sent[0]).await.is_some());
    });
}

#[test]
fn the_members_of_a_chord_lead_to_its_body() {
    on_one_thread(async {
        let members = [step("a", false, ""), step("b", false, "")];
        let world = run(&chord(&members, &nameless("c", true))).await;
        let places = [place(&world, "a").await, place(&world, "b").await];
        let [first, second] = places.map(Option::unwrap);
        assert_eq!(first.group_id, second.group_id);
        assert!(first.group_id.is_some());
        let body = follows(&first, On::Chord);
        assert_eq!(body, follows(&second, On::Chord));
        assert_eq!(body.len(), 1);
        assert!(place(&world, &body[0]).await.is_some());
    });
}

#[test]
fn large_data_of_an_origin_is_read_from_its_chunks() {
    on_one_thread(async {
        let large = step(&"b".repeat(2_000), true, r#""queue":"celery""#);
        let large = large.replacen(
            &format!(r#""task_id":"{}""#, "b".repeat(2_000)),
            r#""task_id":"b""#,
            1,
        );
        let world = run(&chain(&[step("a", false, ""), large])).await;
        let place = place(&world, "a").await.unwrap();
        assert_eq!(follows(&place, On::Success), ["b"]);
    });
}

#[test]
fn a_remote_task_shows_the_ids_that_its_client_chose() {
    let text = r#"{"remote":true,"headers":{"task":"t","id":"i","group":"g"},"embed":{
        "callbacks":[{"task":"x","options":{}},{"task":"celery.group","subtask_type":"group","kwargs":{
            "tasks":[{"task":"y","options":{"task_id":"1"}},{"task":"z","options":{"task_id":"2"}}]}}],
        "chain":[{"task":"last","options":{"task_id":"4"}},{"task":"next","options":{"task_id":"3"}}],
        "errbacks":[{"task":"e","options":{}}],
        "chord":{"task":"body","options":{"task_id":"5"}}}}"#;
    let data = serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    let place = workflow("i", 1, &data).unwrap();
    assert_eq!(
        (place.root_id.as_str(), place.group_id.as_deref()),
        ("i", Some("g"))
    );
    let found = place.follows.iter();
    let found = found.map(|follow| (follow.task.as_str(), follow.id.as_deref(), follow.on));
    let expected = [
        ("x", None, On::Success),
        ("y", Some("1"), On::Success),
        ("z", Some("2"), On::Success),
        ("next", Some("3"), On::Success),
        ("e", None, On::Failure),
        ("body", Some("5"), On::Chord),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn a_task_that_came_alone_has_no_workflow() {
    for data in [
        r#"{"headers":{"task":"t","id":"i"},"embed":{}}"#,
        r#"{"headers":{"task":"t","id":"i","root_id":"i"}}"#,
        "[]",
        "{}",
    ] {
        let data = serde_json::value::RawValue::from_string(data.to_owned()).unwrap();
        assert_eq!(workflow("i", 1, &data), None, "{data}");
    }
}
