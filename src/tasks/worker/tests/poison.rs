//! Messages that no submitter sends. Each message ends its task or goes to the dead-letter queue with a
//! reason, within the attempts of its task.

use proptest::prelude::*;

use super::*;

/// Deliveries after which a message must be acknowledged: a task of `fails` has two attempts, and a
/// claim may meet an expired row first.
const DELIVERIES: usize = 6;

/// A value that no submission, or hardly any, gives to a field.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        (1usize..600_000).prop_map(|length| Value::from("x".repeat(length))),
        Just(json!([1, [2], {}])),
        Just(json!({"a": {"b": null}})),
    ]
}

/// A task's message with some fields replaced, added or removed.
fn mutated() -> impl Strategy<Value = String> {
    let fields = [
        "v",
        "id",
        "job",
        "run",
        "submitted_at",
        "caller",
        "fingerprint",
        "input",
        "input_chunks",
        "options",
        "other",
    ];
    let options = [
        "eta",
        "expires",
        "max_retries",
        "time_limit",
        "priority",
        "other",
    ];
    let job = prop_oneof![Just("echo"), Just("fails"), Just("nope")];
    let changes = prop::collection::vec((0..fields.len(), prop::option::of(odd())), 0..3);
    let in_options = prop::collection::vec((0..options.len(), prop::option::of(odd())), 0..3);
    (job, changes, in_options).prop_map(move |(job, changes, in_options)| {
        let (_, body) = task(job, json!("transient"));
        let mut message: Value = serde_json::from_str(&body).unwrap();
        let mut given = json!({});
        for (at, value) in in_options {
            change(&mut given, options[at], value);
        }
        message["options"] = given;
        for (at, value) in changes {
            change(&mut message, fields[at], value);
        }
        message.to_string()
    })
}

fn change(object: &mut Value, name: &str, value: Option<Value>) {
    let object = object.as_object_mut().unwrap();
    match value {
        Some(value) => drop(object.insert(name.to_owned(), value)),
        None => drop(object.remove(name)),
    }
}

/// Any text, a mutated message, or a part of one.
fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => ".{0,200}",
        8 => mutated(),
        1 => (mutated(), any::<prop::sample::Index>()).prop_map(|(body, at)| {
            let at = at.index(body.len());
            body.chars().take(at).collect()
        }),
    ]
}

/// Delivers a message until it is acknowledged, and checks its outcome.
async fn check(body: String) {
    let fixture = fixture(LEASE);
    let now = now_ms();
    if wire::decode(&body, now).is_ok_and(|task| task.options.eta.is_some_and(|eta| eta > now)) {
        // The message waits for its eta.
        return;
    }
    let mut deliveries = 0;
    // Before each further delivery the lease has ended, and the backoff is over.
    while !fixture.run(&[("a", body.clone())], LEASE).await.is_empty() {
        deliveries += 1;
        assert!(deliveries < DELIVERIES, "the message is never acknowledged");
        stopped::set(now_ms() + 100_000);
    }
    let dead = fixture.calls.of("SendMessage");
    assert!(dead.len() <= 1, "one dead letter at most");
    let reason = dead.first().map(|sent| {
        let reason = &sent["MessageAttributes"]["reason"]["StringValue"];
        reason.as_str().unwrap_or_default().len()
    });
    assert!(reason.is_none_or(|length| (1..=1024).contains(&length)));
    let ended = match wire::find_id(&body) {
        Some(id) => {
            let record = fixture.worker.tasks.get(&id).await.unwrap();
            record.map(|record| record.state.is_final())
        }
        None => None,
    };
    assert!(
        ended.unwrap_or(reason.is_some()),
        "neither ended nor dead-lettered"
    );
}

proptest! {
    #![proptest_config(testing::cases(120))]

    #[test]
    fn every_message_ends_its_task_or_is_dead_lettered(body in body()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        stopped::set(1_900_000_000_000);
        runtime.block_on(check(body));
    }
}

#[tokio::test]
async fn a_body_without_room_for_a_reason_is_stored_in_the_table() {
    let fixture = fixture(LEASE);
    let input = "x".repeat(crate::tasks::queue::MAX_MESSAGE - 300);
    let (id, body) = task("nope", json!(input));
    assert!(body.len() > crate::tasks::queue::MAX_MESSAGE - 200);
    assert!(fixture.run(&[("a", body.clone())], LEASE).await.is_empty());
    let dead = fixture.calls.of("SendMessage");
    let sent: Value = serde_json::from_str(dead[0]["MessageBody"].as_str().unwrap()).unwrap();
    assert_eq!(sent["task_id"], json!(id));
    assert_eq!(sent["stored_body"]["bytes"], json!(body.len()));
    let parts = sent["stored_body"]["parts"].as_u64().unwrap();
    assert!((1..10).contains(&parts));
    let expected = (State::Failed, Some("UnknownJob".to_owned()));
    assert_eq!(fixture.ended(&id).await, expected);
}
