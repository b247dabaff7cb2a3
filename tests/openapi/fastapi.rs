//! Compares the descriptions of the replaced service's routes with FastAPI's own.

use serde_json::{Map, Value};
use utoipa::OpenApi;

use crate::Routes;

/// FastAPI's own document of these routes, written by `seed.py`.
const FASTAPI: &str = include_str!("seed.json");

#[test]
fn the_routes_of_the_replaced_service_are_described_as_by_fastapi() {
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
    // This service may have more parameters, such as the cursor of a list.
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

/// A part of a document without texts and examples for people.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map
                .iter()
                .filter(|(name, value)| {
                    let is_text = matches!(name.as_str(), "description" | "example" | "examples");
                    (!is_text || value.is_object()) && name.as_str() != "example"
                })
                .map(|(name, value)| (name.clone(), plain(value)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}
