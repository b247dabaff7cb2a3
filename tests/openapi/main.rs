//! The OpenAPI document: put together from the functions and the Rust types, and compared with the
//! file that is served.
//!
//! Each function is a program of its own, so the handlers with their descriptions are read here as
//! modules. A new function is a line in two lists.

// Of each function only the description of its route is used here.
#![allow(dead_code)]

mod document;
mod examples;
mod fastapi;
mod lists;

#[path = "../../functions/cancel_task.rs"]
mod cancel_task;
#[path = "../../functions/create_item.rs"]
mod create_item;
#[path = "../../functions/create_task.rs"]
mod create_task;
#[path = "../../functions/create_user.rs"]
mod create_user;
#[path = "../../functions/delete_item.rs"]
mod delete_item;
#[path = "../../functions/delete_user.rs"]
mod delete_user;
#[path = "../../functions/fetch.rs"]
mod fetch;
#[path = "../../functions/list_items.rs"]
mod list_items;
#[path = "../../functions/list_jobs.rs"]
mod list_jobs;
#[path = "../../functions/list_tasks.rs"]
mod list_tasks;
#[path = "../../functions/list_users.rs"]
mod list_users;
#[path = "../../functions/process.rs"]
mod process;
#[path = "../../functions/read_item.rs"]
mod read_item;
#[path = "../../functions/read_task.rs"]
mod read_task;
#[path = "../../functions/read_user.rs"]
mod read_user;
#[path = "../../functions/result.rs"]
mod result;
#[path = "../../functions/retry_task.rs"]
mod retry_task;
#[path = "../../functions/root.rs"]
mod root;
#[path = "../../functions/update_item.rs"]
mod update_item;
#[path = "../../functions/update_user.rs"]
mod update_user;

use async_service::web::openapi::HTTPValidationError;
use utoipa::OpenApi;

/// All routes, in the order in which FastAPI would have them.
#[derive(OpenApi)]
#[openapi(
    paths(
        root::root,
        list_items::list_items,
        create_item::create_item,
        read_item::read_item,
        update_item::update_item,
        delete_item::delete_item,
        list_users::list_users,
        create_user::create_user,
        read_user::read_user,
        update_user::update_user,
        delete_user::delete_user,
        fetch::fetch,
        process::process,
        result::result,
        list_tasks::list_tasks,
        create_task::create_task,
        read_task::read_task,
        cancel_task::cancel_task,
        retry_task::retry_task,
        list_jobs::list_jobs,
    ),
    components(schemas(HTTPValidationError))
)]
struct Routes;

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
        "openapi.json is not what the code says; `cargo xtask openapi` writes it anew"
    );
}
