//! The OpenAPI document: put together from the functions and the Rust types, and compared with the
//! file that is served.
//!
//! Each function is a program of its own, so the handlers with their descriptions are read here as
//! modules.

// Of each function only the description of its route is used here.
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
/// Set, it lets the test write the file instead.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_file_is_what_the_code_says() {
    let document = document::of(Routes::openapi());
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        file == text,
        "openapi.json is not what the code says; `cargo xtask generate` writes it anew"
    );
}
