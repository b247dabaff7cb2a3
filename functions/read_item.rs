//! `GET /items/{item_id}?q=`: the id, the query and what is stored under the id, if anything.

use async_service::items::{ItemStore, ReadItem};
use async_service::web::openapi::{Invalid, Unavailable};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/items/{item_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let items = app.items()?;
    app.serve(ROUTE, items, read_item).await
}

/// The id, the query, and the item that is stored under the id, or null.
#[utoipa::path(
    get, path = "/items/{item_id}", tag = "items",
    params(("item_id" = i64, Path, example = 243957302321152_i64), ("q" = Option<String>, Query, example = "x")),
    responses((status = 200, body = ReadItem, description = "What was asked for, and the item"),
        Invalid, Unavailable),
)]
pub async fn read_item(items: &ItemStore, request: Request) -> Result<Response<Body>, HttpError> {
    let (item_id, q) = all((request.path_int("item_id"), request.query_optional("q")))?;
    // An integer may have any size; no item has an id beyond 64 bits.
    let item = match item_id.as_i64() {
        Some(id) => items.get(id).await?,
        None => None,
    };
    Ok(answer::ok(&ReadItem::new(item_id, q, item)?))
}
