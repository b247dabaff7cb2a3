//! The form of calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::celery::letter::Value::{Bytes, Text};
use crate::celery::letter::{Attribute, Letter};
use crate::celery::remote::call::{Call, Chord, Content, Item, read_calls};

fn read(calls: &Value) -> Result<Vec<Call>, String> {
    read_calls(&RawValue::from_string(calls.to_string()).unwrap())
}

#[test]
fn every_call_is_read() {
    let calls = json!([
        {"send": {"queue_url": "u", "body": "b"}},
        {"send": {"queue_url": "u", "body": "b", "delay": 900, "group": "g", "deduplication": "d",
                  "attributes": {"n": {"type": "String.mine", "value": "v"},
                                 "b": {"type": "Binary", "value": "AP8="}}}},
        {"store": {"table": "t", "id": "k", "result": STANDARD.encode("{}"), "timestamp": 1.5}},
        {"counter": {"table": "t", "id": "k", "timestamp": 1.5}},
        {"chord": true},
        {"chord": {"group": "g", "body": null}},
    ]);
    let letter = Letter {
        queue_url: "u".to_owned(),
        body: "b".to_owned(),
        ..Letter::default()
    };
    let attribute = |name: &str, kind: &str, value| Attribute {
        name: name.to_owned(),
        kind: kind.to_owned(),
        value,
    };
    let attributes = [
        attribute("n", "String.mine", Text("v".to_owned())),
        attribute("b", "Binary", Bytes(vec![0, 0xFF])),
    ];
    let full = Letter {
        delay: Some(900),
        group: Some("g".to_owned()),
        deduplication: Some("d".to_owned()),
        attributes: attributes.to_vec(),
        ..letter.clone()
    };
    let item = |content| {
        Call::Store(Item {
            table: "t".to_owned(),
            id: "k".to_owned(),
            content,
        })
    };
    let chord = Chord {
        group: "g".to_owned(),
        body: None,
    };
    let expected = [
        Call::Send(letter),
        Call::Send(full),
        item(Content::Result(b"{}".to_vec())),
        item(Content::Counter),
        Call::Chord(None),
        Call::Chord(Some(chord)),
    ];
    assert_eq!(read(&calls).unwrap(), expected);
    assert_eq!(read(&json!([])).unwrap(), []);
}

#[test]
fn what_is_no_call_is_refused_with_its_number_and_without_its_content() {
    let large = "x".repeat(1024 * 1024 + 1);
    for wrong in [
        json!(1),
        json!({}),
        json!({"send": {"queue_url": "u", "body": "secret"}, "chord": true}),
        json!({"delete": {}}),
        json!({"send": "secret"}),
        json!({"send": {"body": "secret"}}),
        json!({"send": {"queue_url": "u", "body": ""}}),
        json!({"send": {"queue_url": "u", "body": large}}),
        json!({"send": {"queue_url": "u", "body": "secret", "delay": 901}}),
        json!({"send": {"queue_url": "u", "body": "secret", "delay": 0.5}}),
        json!({"send": {"queue_url": "u", "body": "secret", "group": ""}}),
        json!({"send": {"queue_url": "u", "body": "secret", "deduplication": 1}}),
        json!({"send": {"queue_url": "u", "body": "secret", "attributes": {"n": "v"}}}),
        json!({"send": {"queue_url": "u", "body": "secret",
                        "attributes": {"n": {"type": "Binary", "value": "v"}}}}),
        json!({"send": {"queue_url": "u", "body": "secret",
                        "attributes": {"n": {"type": "Text", "value": "v"}}}}),
        json!({"store": {"table": "t", "id": "k"}}),
        json!({"store": {"table": "t", "id": "k", "result": "secret!"}}),
        json!({"counter": {"table": "t"}}),
        json!({"store": {"table": "t", "id": "k", "result": STANDARD.encode(&large)}}),
        json!({"chord": false}),
        json!({"chord": {"group": ""}}),
        json!({"chord": {"group": "g", "body": "secret"}}),
    ] {
        let error = read(&json!([{"chord": true}, wrong])).unwrap_err();
        assert!(
            error.starts_with("the call number 2 is malformed: "),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(read(&json!({"send": {}})).is_err());
}
