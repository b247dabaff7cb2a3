//! `DELETE /items/{item_id}`: deletes an item.

use async_service::http::{self, Answer, HttpError, Request, StatusCode, all};
use async_service::store::ItemStore;
use async_service::{App, Error};

const ROUTE: &str = "/items/{item_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let items = App::from_env()?.items()?;
    http::serve(ROUTE, items, delete_item).await
}

async fn delete_item(items: &ItemStore, request: Request) -> Result<Answer, HttpError> {
    let (item_id,) = all((request.path_int("item_id"),))?;
    match item_id.as_i64() {
        Some(id) if items.delete(id).await? => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        _ => Err(HttpError::not_found("Item not found")),
    }
}
