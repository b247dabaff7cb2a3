//! The messages and items that Celery itself wrote, for tests.

use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Json, parse};

/// A file of the vectors.
pub(super) fn read(name: &str) -> Json {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/celery/vectors");
    let bytes = std::fs::read(folder.join(name)).unwrap();
    parse(&bytes).unwrap()
}

/// The messages of Celery's clients: each with its `case`, the `message`, and what is in it.
pub(super) fn messages() -> &'static [Json] {
    static MESSAGES: OnceLock<Json> = OnceLock::new();
    let all = MESSAGES.get_or_init(|| read("messages.json"));
    all.as_array().unwrap()
}

/// The message of a client by its case.
pub(super) fn message(case: &str) -> &'static str {
    let of_case = |one: &&Json| one.get("case").unwrap().as_str() == Some(case);
    let found = messages().iter().find(of_case).expect(case);
    text(found, "message")
}

/// A member that is a text.
pub(super) fn text<'j>(value: &'j Json, name: &str) -> &'j str {
    value.get(name).and_then(Json::as_str).expect(name)
}

/// The items that Celery's workers and clients stored: the key and the bytes of each.
pub(super) fn items() -> Vec<(String, Vec<u8>)> {
    let bytes = |item: &Json| STANDARD.decode(text(item, "result")).unwrap();
    let mut items = Vec::new();
    for trace in read("traces.json").as_array().unwrap() {
        for event in trace.get("events").unwrap().as_array().unwrap() {
            if event.get("put").is_some() && event.get("result").is_some() {
                items.push((text(event, "put").to_owned(), bytes(event)));
            }
        }
    }
    items
}

/// The item of a state, by its name: the key and the bytes.
pub(super) fn state(name: &str) -> (String, Vec<u8>) {
    let states = read("states.json");
    let item = states.get(name).expect(name);
    let bytes = STANDARD.decode(text(item, "result")).unwrap();
    (text(item, "key").to_owned(), bytes)
}
