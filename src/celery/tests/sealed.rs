//! Members of chords whose messages the worker does not read, and whose functions never answered.

use aws_sdk_dynamodb::types::AttributeValue;

use super::chords::{chord, end, step};
use super::world::{World, on_one_thread};
use crate::celery::result::Keys;
use crate::celery::store::CHORD_BODY;
use crate::dynamodb::testing::{CELERY_RESULTS, Gate};

/// Ids of tasks whose messages [`super::remote::sealed`] seals.
const SEALED: [&str; 2] = ["s1", "s5"];

/// The error of a chord with a member whose function crashed.
fn error(member: &str) -> String {
    format!(r#"ChordError("Dependency {member} raised RuntimeError('Crashed: for good')")"#)
}

/// A member in another serializer, whose function crashes at its last attempt.
fn lost(name: &str) -> String {
    let step = step(name, false, "");
    let step = step.replace(r#""task":"step""#, r#""task":"remote.step""#);
    step.replace(&format!(r#""{name}","""#), &format!(r#""{name}","x""#))
}

/// Notes the body of the chord on its counter, as the function of a member does before the body runs.
async fn note_body(world: &World, body: &str) {
    let client = world.rows.client(&Gate::default());
    let update = client.update_item().table_name(CELERY_RESULTS);
    let update = update
        .key("id", AttributeValue::S(Keys::default().chord("g")))
        .update_expression("SET #body = :body")
        .expression_attribute_names("#body", CHORD_BODY)
        .expression_attribute_values(":body", AttributeValue::S(body.to_owned()));
    update.send().await.unwrap();
}

#[test]
fn a_lost_member_that_no_other_member_follows_fails_the_chord_by_the_noted_body() {
    on_one_thread(async {
        let mut world = World::new();
        let body = step("c", true, "");
        let members = [step("a", false, ""), lost(SEALED[0])];
        world.submit(chord(&members, &body)).await;
        note_body(&world, &body).await;
        world.deliver(0, 1, false, Gate::default()).await;
        assert_eq!(end(&world, "a").await, "SUCCESS");
        world.drain(false).await;
        assert_eq!(end(&world, "c").await, error(SEALED[0]));
    });
}

#[test]
fn a_member_that_was_read_fails_the_chord_of_a_lost_member() {
    on_one_thread(async {
        let mut world = World::new();
        let members = [lost(SEALED[0]), step("a", false, "")];
        world.submit(chord(&members, &step("c", true, ""))).await;
        world.deliver(0, 1, false, Gate::default()).await;
        assert_eq!(end(&world, "c").await, "nothing", "`a` has not ended");
        world.drain(false).await;
        assert_eq!(end(&world, "c").await, error(SEALED[0]));
    });
}

#[test]
fn a_chord_of_which_nobody_knows_the_body_is_told_to_the_operator() {
    on_one_thread(async {
        let mut world = World::new();
        let members = SEALED.map(lost);
        world.submit(chord(&members, &step("c", true, ""))).await;
        world.drain(false).await;
        assert_eq!(end(&world, "c").await, "nothing");
        let [(_, reason)] = &world.queue.dead_letters()[..] else {
            panic!("one dead letter");
        };
        assert!(reason.contains("its body is unknown"), "{reason}");
    });
}
