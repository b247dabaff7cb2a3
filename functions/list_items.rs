//! `GET /items/?limit=&cursor=`: a page of items by their ids, with a `Link` to the next page.

use async_service::items::{ItemStore, StoredItem};
use async_service::web::cursor::Cursor;
use async_service::web::openapi::{Invalid, Page, TooLargeAnswer, Unavailable};
use async_service::web::page::with_next;
use async_service::web::{Body, HttpError, PageQuery, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/items/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.items()?, Cursor::of("items"));
    app.serve(ROUTE, parts, list_items).await
}

/// A page of items in the order of their ids. The `Link` header leads to the next page.
#[utoipa::path(
    get, path = ROUTE, tag = "items",
    params(Page),
    responses((status = 200, body = Vec<StoredItem>, description = "The items", headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, TooLargeAnswer, Unavailable),
)]
pub async fn list_items(
    (items, cursors): &(ItemStore, Cursor),
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (page,) = all((PageQuery::read(&request, cursors),))?;
    let page = items.list(page.after, page.limit).await?;
    let rows = page.rows.into_iter();
    let rows = rows.map(|(id, item)| StoredItem::new(item, id));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let next = page.next.map(|id| cursors.seal(id));
    Ok(with_next(answer::ok(&rows), &request, next))
}
