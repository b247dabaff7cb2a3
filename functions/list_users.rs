//! `GET /users/?limit=&cursor=`: a page of users, and a `Link` to the next; or `?ids=1,2,3`: these users.

use async_service::http::openapi::{Invalid, Page, TooLargeAnswer, Unavailable, UpstreamFailed};
use async_service::http::{
    self, Answer, HttpError, PageQuery, Request, all, header::LINK, next_link,
};
use async_service::users::User;
use async_service::users::{self, Users};
use async_service::{App, Error};

const ROUTE: &str = "/users/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let users = app.users()?;
    http::serve(&app, ROUTE, users, list_users).await
}

/// A page of the users that are stored here, in the order of their ids, with a `Link` header to the
/// next page; or, with `ids`, these users, without those that there are not.
#[utoipa::path(
    get, path = ROUTE, tag = "users",
    params(Page, ("ids" = Option<String>, Query, description = "Integers, separated by commas; at most 100",
        example = "1,2,3")),
    responses((status = 200, body = Vec<User>, description = "The users", headers(("Link" = String, description = "The next page, as `<url>; rel=\"next\"`; absent on the last"))),
        Invalid, TooLargeAnswer, UpstreamFailed, Unavailable),
)]
pub async fn list_users(users: &Users, request: Request) -> Result<Answer, HttpError> {
    let (page, ids) = all((
        PageQuery::read(&request, users.cursors()),
        users::ids(&request),
    ))?;
    if let Some(ids) = ids {
        return Ok(Answer::raw_list(&users.get_many(&ids).await?));
    }
    let page = users.list(page.after, page.limit).await?;
    let answer = Answer::raw_list(&page.rows);
    Ok(match page.next {
        Some(cursor) => answer.with_text(LINK, &next_link(&request, &cursor)),
        None => answer,
    })
}
