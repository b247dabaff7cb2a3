//! `PUT /users/{user_id}`: replaces a user. The upstream is not asked for a replaced user.

use async_service::users::{NewUserSchema, User, Users};
use async_service::web::openapi::{ErrorDetail, InvalidBody, Unavailable, UpstreamFailed};
use async_service::web::user::new_user;
use async_service::web::{Body, Extract, HttpError, Request, Response, StatusCode, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/users/{user_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let users = app.users()?;
    app.serve(ROUTE, users, update_user).await
}

/// Replaces a user. The upstream is not asked for a replaced user.
#[utoipa::path(
    put, path = ROUTE, tag = "users",
    params(("user_id" = i64, Path, example = 7)),
    request_body(content = NewUserSchema),
    responses((status = 200, body = User, description = "The user"),
        (status = 404, body = ErrorDetail, description = "There is no such user",
            example = json!({"detail": "User not found"})),
        InvalidBody, UpstreamFailed, Unavailable),
)]
pub async fn update_user(users: &Users, request: Request) -> Result<Response<Body>, HttpError> {
    let (user_id, user) = all((request.path_int("user_id"), new_user(&request)))?;
    let user = match user_id.as_i64() {
        Some(id) => users.replace(id, &user).await?,
        None => None,
    };
    let user = user.ok_or_else(|| HttpError::not_found("User not found"))?;
    Ok(answer::raw(StatusCode::OK, user))
}
