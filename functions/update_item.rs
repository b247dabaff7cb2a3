//! `PUT /items/{item_id}`: replaces an item.

use async_service::documents;
use async_service::items::{ItemStore, StoredItem};
use async_service::web::openapi::{ErrorDetail, InvalidBody, Unavailable};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/items/{item_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let items = app.items()?;
    app.serve(ROUTE, items, update_item).await
}

/// Replaces an item.
#[utoipa::path(
    put, path = "/items/{item_id}", tag = "items",
    params(("item_id" = i64, Path, example = 243957302321152_i64)),
    request_body(content = Object, example = json!({"name": "Foo", "price": 2.0})),
    responses((status = 200, body = StoredItem, description = "The item and its id"),
        (status = 404, body = ErrorDetail, description = "There is no such item",
            example = json!({"detail": "Item not found"})),
        InvalidBody, Unavailable),
)]
pub async fn update_item(items: &ItemStore, request: Request) -> Result<Response<Body>, HttpError> {
    let (item_id, item) = all((request.path_int("item_id"), request.body_object()))?;
    let item = documents::to_text(item)?;
    match item_id.as_i64() {
        Some(id) if items.replace(id, &item).await? => Ok(answer::ok(&StoredItem::new(item, id)?)),
        _ => Err(HttpError::not_found("Item not found")),
    }
}
