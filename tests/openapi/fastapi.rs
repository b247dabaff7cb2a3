//! The routes that the replaced service had are described as FastAPI describes them.

use serde_json::{Map, Value};
use utoipa::OpenApi;

use crate::Routes;

/// What FastAPI itself says of these routes; `seed.py` writes it.
const FASTAPI: &str = include_str!("seed.json");

#[test]
fn seed_routes_are_described_as_fastapi_does() {
    let ours = crate::document::of(Routes::openapi());
    let theirs: Value = serde_json::from_str(FASTAPI).unwrap();
    for (path, operations) in theirs["paths"].as_object().unwrap() {
        for (method, theirs) in operations.as_object().unwrap() {
            let ours = &ours["paths"][path][method];
            compare(&format!("{method} {path}"), ours, theirs);
        }
    }
    for name in ["HTTPValidationError", "ValidationError"] {
        let schema = |document: &Value| plain(&document["components"]["schemas"][name]);
        assert_eq!(schema(&ours), schema(&theirs), "{name}");
    }
}

fn compare(operation: &str, ours: &Value, theirs: &Value) {
    for part in ["operationId", "summary", "requestBody"] {
        assert_eq!(
            plain(&ours[part]),
            plain(&theirs[part]),
            "{operation}: {part}"
        );
    }
    // Ours may have more parameters, such as a list's cursor.
    for parameter in theirs["parameters"].as_array().into_iter().flatten() {
        let name = &parameter["name"];
        let same = ours["parameters"].as_array().into_iter().flatten();
        let ours = same.clone().find(|ours| ours["name"] == *name);
        let ours = ours.unwrap_or_else(|| panic!("{operation}: no parameter {name}"));
        assert_eq!(plain(ours), plain(parameter), "{operation}: {name}");
    }
    for (status, answer) in theirs["responses"].as_object().unwrap() {
        let ours = &ours["responses"][status];
        assert!(ours.is_object(), "{operation}: no {status}");
        if status == "422" {
            assert_eq!(plain(ours), plain(answer), "{operation}: {status}");
        }
    }
}

/// A part of a document without what is said to people.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .iter()
                .filter(|(name, value)| {
                    let told = matches!(name.as_str(), "description" | "example" | "examples");
                    (!told || value.is_object()) && name.as_str() != "example"
                })
                .map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}
