//! `GET /items/?limit=&cursor=`: a page of items in the order of their ids, and a `Link` to the next.

use async_service::http::openapi::{Invalid, Page, TooLargeAnswer, Unavailable};
use async_service::http::{
    self, Answer, HttpError, PageQuery, Request, all, header::LINK, next_link,
};
use async_service::items::StoredItem;
use async_service::store::ItemStore;
use async_service::{App, Error};

const ROUTE: &str = "/items/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let items = app.items()?;
    http::serve(&app, ROUTE, items, list_items).await
}

/// A page of items in the order of their ids. The `Link` header leads to the next page.
#[utoipa::path(
    get, path = ROUTE, tag = "items",
    params(Page),
    responses((status = 200, body = Vec<StoredItem>, description = "The items", headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, TooLargeAnswer, Unavailable),
)]
pub async fn list_items(items: &ItemStore, request: Request) -> Result<Answer, HttpError> {
    let (page,) = all((PageQuery::read(&request, items.cursors()),))?;
    let page = items.list(page.after, page.limit).await?;
    let rows: Result<Vec<StoredItem>, HttpError> = page
        .rows
        .into_iter()
        .map(|(id, item)| StoredItem::new(item, id))
        .collect();
    let answer = Answer::ok(&rows?);
    Ok(match page.next {
        Some(cursor) => answer.with_text(LINK, &next_link(&request, &cursor)),
        None => answer,
    })
}
