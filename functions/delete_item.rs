//! `DELETE /items/{item_id}`: deletes an item.

use async_service::items::ItemStore;
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/items/{item_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let items = app.items()?;
    app.serve(ROUTE, items, delete_item).await
}

/// Deletes an item.
#[utoipa::path(
    delete, path = ROUTE, tag = "items",
    params(("item_id" = i64, Path, example = 243957302321152_i64)),
    responses((status = 204, description = "The item is deleted"),
        (status = 404, body = ErrorDetail, description = "There is no such item",
            example = json!({"detail": "Item not found"})),
        Invalid, Unavailable),
)]
pub async fn delete_item(items: &ItemStore, request: Request) -> Result<Response<Body>, HttpError> {
    let (item_id,) = all((request.path_int("item_id"),))?;
    match item_id.as_i64() {
        Some(id) if items.delete(id).await? => Ok(answer::no_content()),
        _ => Err(HttpError::not_found("Item not found")),
    }
}
