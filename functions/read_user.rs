//! `GET /users/{user_id}`: a user, read through the upstream if an upstream is configured.

use async_service::users::User;
use async_service::users::Users;
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable, UpstreamFailed};
use async_service::web::{Body, Extract, HttpError, Request, Response, StatusCode, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/users/{user_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let users = app.users()?;
    app.serve(ROUTE, users, read_user).await
}

/// A user, read through the upstream if there is one.
#[utoipa::path(
    get, path = ROUTE, tag = "users",
    params(("user_id" = i64, Path, example = 7)),
    responses((status = 200, body = User, description = "The user"),
        (status = 404, body = ErrorDetail, description = "There is no such user",
            example = json!({"detail": "User not found"})),
        Invalid, UpstreamFailed, Unavailable),
)]
pub async fn read_user(users: &Users, request: Request) -> Result<Response<Body>, HttpError> {
    let (user_id,) = all((request.path_int("user_id"),))?;
    let user = match user_id.as_i64() {
        Some(id) => users.get(id).await?,
        None => None,
    };
    let user = user.ok_or_else(|| HttpError::not_found("User not found"))?;
    Ok(answer::raw(StatusCode::OK, user))
}
