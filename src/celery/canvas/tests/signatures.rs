//! Signatures that no vector has.

use super::*;
use crate::json::parse_str;

const SENDER: Sender = Sender {
    id: "parent",
    root_id: Some("root"),
    seed: "parent/1",
    now: 1_900_000_000_000,
    default_queue: "celery",
    origin: "w1@worker",
    trace: None,
};

fn value(text: &str) -> Json {
    parse_str(text).unwrap()
}

/// The decoded message of a signature with these options.
fn with_options(options: &str) -> crate::celery::Message {
    let signature = format!(r#"{{"task": "t", "options": {options}}}"#);
    let sent = apply(&SENDER, value(&signature), &[]).unwrap();
    decode(&sent.messages[0].body).unwrap()
}

#[test]
fn times_of_options_become_times_of_headers() {
    let now = SENDER.now;
    let eta = |options| with_options(options).headers.eta;
    assert_eq!(eta(r#"{"countdown": 1.5}"#), Some(now + 1_500));
    assert_eq!(eta(r#"{"countdown": 0}"#), None);
    assert_eq!(
        eta(r#"{"eta": "2030-01-02T03:04:05Z"}"#),
        Some(1_893_553_445_000)
    );
    let typed = r#"{"eta": {"__type__": "datetime", "__value__": "2030-01-02T03:04:05+00:00"}}"#;
    assert_eq!(eta(typed), Some(1_893_553_445_000));
    let expiring = with_options(r#"{"expires": 60}"#);
    assert_eq!(expiring.headers.expires, Some(now + 60_000));
    assert_eq!(expiring.properties.text("expiration"), Some("60000"));
    let over = with_options(r#"{"expires": "2020-01-01T00:00:00"}"#);
    assert_eq!(over.properties.text("expiration"), Some("0"));
    assert_eq!(eta(r#"{"countdown": 1e300}"#), None);
}

#[test]
fn options_become_headers_and_properties() {
    let options = r#"{"queue": "q", "MessageGroupId": "g", "MessageDeduplicationId": "d",
        "priority": 7, "headers": {"x": 1}, "time_limit": 9, "task_id": "i", "reply_to": "r"}"#;
    let signature = format!(r#"{{"task": "t", "options": {options}}}"#);
    let sent = apply(&SENDER, value(&signature), &[]).unwrap();
    let message = &sent.messages[0];
    assert_eq!(message.queue.as_deref(), Some("q"));
    assert_eq!(message.message_group.as_deref(), Some("g"));
    assert_eq!(message.deduplication.as_deref(), Some("d"));
    let read = decode(&message.body).unwrap();
    assert_eq!(
        (read.properties.priority(), read.headers.time_limit),
        (Some(7), Some(9.0))
    );
    assert_eq!(read.properties.text("MessageGroupId"), Some("g"));
    assert_eq!(read.properties.text("reply_to"), Some("r"));
    assert_eq!(read.headers.custom.get("x"), Some(&1.into()));
    assert_eq!(read.headers.root_id.as_deref(), Some("root"));
    assert_eq!(sent.children, [task_tuple("i", None)]);
}

#[test]
fn the_same_call_sends_the_same() {
    for step in &steps() {
        let (sender, embed) = (step.sender(), step.embed());
        let value = step.step.get("value").unwrap();
        let send = || on_success(&sender, &embed, value).unwrap();
        assert_eq!(send(), send());
        // Another run has other ids, where Celery would make random ones.
        let again = Sender {
            seed: "another run",
            ..sender
        };
        let again = on_success(&again, &embed, value).unwrap();
        let tags = |sent: &Sent| -> Vec<String> {
            let bodies = sent
                .messages
                .iter()
                .map(|message| decode(&message.body).unwrap());
            bodies
                .map(|message| message.properties.text("delivery_tag").unwrap().to_owned())
                .collect()
        };
        assert!(send().messages.is_empty() || tags(&send()) != tags(&again));
    }
}

#[test]
fn signatures_beyond_the_bounds_are_refused() {
    let nested = |depth: usize| {
        let begin = r#"{"task": "celery.chain", "subtask_type": "chain", "kwargs": {"tasks": ["#;
        let begin = begin
            .replace("chain", "chord")
            .replace("tasks\": [", "body\":");
        let begin = begin.replace("kwargs\": {", "kwargs\": {\"header\": [], ");
        let text = format!(
            "{}{{\"task\": \"t\"}}{}",
            begin.repeat(depth),
            "}}".repeat(depth)
        );
        apply(&SENDER, value(&text), &[])
    };
    assert!(nested(40).is_ok());
    assert_eq!(nested(200), Err(Unsendable::TooDeep));
    let member = r#"{"task": "t"}"#;
    let members = [member].repeat(1_000).join(",");
    let group =
        format!(r#"{{"task": "g", "subtask_type": "group", "kwargs": {{"tasks": [{members}]}}}}"#);
    let large = Json::from("x".repeat(100_000));
    assert_eq!(
        apply(&SENDER, value(&group), &[large]),
        Err(Unsendable::TooMuch)
    );
    let too_large = Json::from("x".repeat(1_000_000));
    let refused = apply(&SENDER, value(member), &[too_large]);
    assert!(matches!(refused, Err(Unsendable::TooLarge(_))));
}

#[test]
fn what_is_no_signature_is_refused() {
    for text in [
        "1",
        r#"{"task": "t", "subtask_type": "new"}"#,
        r#"{"task": "t", "subtask_type": "chain"}"#,
        r#"{"task": "t", "subtask_type": "group", "kwargs": {"tasks": [1]}}"#,
        r#"{"task": "t", "subtask_type": "chord", "kwargs": {"header": []}}"#,
        r#"{"task": "t", "subtask_type": "chord", "kwargs": {"body": {"task": "t"}}}"#,
    ] {
        let refused = apply(&SENDER, value(text), &[]);
        assert!(
            matches!(refused, Err(Unsendable::NotASignature(_))),
            "{text}"
        );
    }
    let empty = r#"{"task": "t", "subtask_type": "chain", "kwargs": {"tasks": []}}"#;
    assert_eq!(apply(&SENDER, value(empty), &[]).unwrap(), Sent::default());
}

/// Signatures with parts exchanged and changed: an error or messages, but no panic.
#[test]
fn no_changed_signature_panics() {
    let mut random = fastrand::Rng::with_seed(5);
    let all: Vec<Json> = steps()
        .iter()
        .flat_map(|step| {
            let embed = step.embed();
            [embed.callbacks, embed.chain]
                .concat()
                .into_iter()
                .chain(embed.chord)
        })
        .collect();
    for _ in 0..2_000 {
        let mut changed = random.choice(&all).unwrap().clone();
        for _ in 0..random.usize(1..4) {
            let part = random.choice(&all).unwrap().clone();
            let (depth, what) = (random.usize(1..9), random.usize(..6));
            let part = [
                part,
                Json::Null,
                1.into(),
                "x".into(),
                vec![].into(),
                value("{}"),
            ][what]
                .clone();
            replace(&mut changed, part, depth, &mut random);
        }
        let sent = apply(&SENDER, changed.clone(), &[1.into()]);
        for message in sent.unwrap_or_default().messages {
            let _ = decode(&message.body);
        }
        failed_chain(std::slice::from_ref(&changed));
        let _ = failed_chord(&SENDER, &changed);
    }
}

/// Replaces a random value, at most so deep.
fn replace(value: &mut Json, part: Json, depth: usize, random: &mut fastrand::Rng) {
    let inside = match value {
        Json::Array(values) if depth > 0 && !values.is_empty() => {
            let at = random.usize(..values.len());
            values.get_mut(at)
        }
        Json::Object(object) if depth > 0 && !object.is_empty() => {
            let at = random.usize(..object.len());
            object.values_mut().nth(at)
        }
        _ => None,
    };
    match inside {
        Some(inside) => replace(inside, part, depth - 1, random),
        None => *value = part,
    }
}
