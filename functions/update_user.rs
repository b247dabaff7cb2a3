//! `PUT /users/{user_id}`: replaces a user; from then on the upstream is not asked for it.

use async_service::http::{self, Answer, HttpError, Request, StatusCode, all};
use async_service::users::{NewUser, Users};
use async_service::{App, Error};

const ROUTE: &str = "/users/{user_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let users = App::from_env()?.users()?;
    http::serve(ROUTE, users, update_user).await
}

async fn update_user(users: &Users, request: Request) -> Result<Answer, HttpError> {
    let (user_id, user) = all((request.path_int("user_id"), NewUser::read(&request)))?;
    let user = match user_id.as_i64() {
        Some(id) => users.replace(id, &user).await?,
        None => None,
    };
    let user = user.ok_or_else(|| HttpError::not_found("User not found"))?;
    Ok(Answer::raw(StatusCode::OK, user))
}
