//! `GET /users/?limit=&cursor=`: a page of users, with a `Link` to the next page. `GET /users/?ids=1,2,3`:
//! these users.

use async_service::users::{User, Users};
use async_service::web::cursor::Cursor;
use async_service::web::openapi::{Invalid, Page, TooLargeAnswer, Unavailable, UpstreamFailed};
use async_service::web::page::with_next;
use async_service::web::user::ids;
use async_service::web::{Body, HttpError, PageQuery, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/users/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let parts = (app.users()?, Cursor::of("users"));
    app.serve(ROUTE, parts, list_users).await
}

/// A page of the stored users in the order of their ids, with a `Link` header to the next page. With `ids`:
/// the existing users among these ids.
#[utoipa::path(
    get, path = ROUTE, tag = "users",
    params(Page, ("ids" = Option<String>, Query, description = "Integers, separated by commas; at most 100",
        example = "1,2,3")),
    responses((status = 200, body = Vec<User>, description = "The users", headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, TooLargeAnswer, UpstreamFailed, Unavailable),
)]
pub async fn list_users(
    (users, cursors): &(Users, Cursor),
    request: Request,
) -> Result<Response<Body>, HttpError> {
    let (page, ids) = all((PageQuery::read(&request, cursors), ids(&request)))?;
    if let Some(ids) = ids {
        return Ok(answer::raw_list(&users.get_many(&ids).await?));
    }
    let page = users.list(page.after, page.limit).await?;
    let next = page.next.map(|id| cursors.seal(id));
    Ok(with_next(answer::raw_list(&page.rows), &request, next))
}
