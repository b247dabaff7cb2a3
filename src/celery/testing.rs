//! The messages and items that Celery itself wrote, for tests.

use std::path::Path;
use std::sync::OnceLock;

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
