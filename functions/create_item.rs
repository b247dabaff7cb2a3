//! `POST /items/`: stores any JSON object under a new id.

use async_service::documents;
use async_service::items::{ItemStore, StoredItem};
use async_service::web::openapi::{InvalidBody, Unavailable};
use async_service::web::{Body, Extract, HttpError, Request, Response, ResponseExt, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/items";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let items = app.items()?;
    app.serve(ROUTE, items, create_item).await
}

/// Stores any JSON object under a new id.
#[utoipa::path(
    post, path = "/items/", tag = "items",
    request_body(content = Object, example = json!({"name": "Foo", "price": 1.5})),
    responses((status = 200, body = StoredItem, description = "The item and its id",
        headers(("Location" = String, description = "The path of the item"))),
        InvalidBody, Unavailable),
)]
pub async fn create_item(items: &ItemStore, request: Request) -> Result<Response<Body>, HttpError> {
    let (item,) = all((request.body_object(),))?;
    let item = documents::to_text(item)?;
    let id = items.create(&item).await?;
    Ok(answer::ok(&StoredItem::new(item, id)?).at(&format!("{}/items/{id}", request.prefix())))
}
