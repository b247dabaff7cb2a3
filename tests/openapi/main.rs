//! Builds the OpenAPI document from the functions and the Rust types, and compares the document with
//! `openapi.json`.
//!
//! Each function is a program of its own, so this test includes the functions as modules.

// This test uses only the description of each function's route.
#![allow(dead_code)]

mod document;
mod examples;
mod fastapi;
mod lists;
mod routes;

use async_service::web::openapi::HTTPValidationError;
use routes::Routes;
use utoipa::OpenApi;

/// The file that `GET /openapi.json` serves.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
/// The variable that makes the test write the file.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_file_equals_the_document_of_the_code() {
    let document = document::of(Routes::openapi());
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        file == text,
        "openapi.json is stale; `cargo xtask generate` writes it anew"
    );
}
