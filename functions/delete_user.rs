//! `DELETE /users/{user_id}`: deletes a user, also if the upstream still has the user.

use async_service::users::Users;
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable, UpstreamFailed};
use async_service::web::{Body, Extract, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/users/{user_id}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let users = app.users()?;
    app.serve(ROUTE, users, delete_user).await
}

/// Deletes a user, also if the upstream still has the user.
#[utoipa::path(
    delete, path = ROUTE, tag = "users",
    params(("user_id" = i64, Path, example = 7)),
    responses((status = 204, description = "The user is deleted"),
        (status = 404, body = ErrorDetail, description = "There is no such user",
            example = json!({"detail": "User not found"})),
        Invalid, UpstreamFailed, Unavailable),
)]
pub async fn delete_user(users: &Users, request: Request) -> Result<Response<Body>, HttpError> {
    let (user_id,) = all((request.path_int("user_id"),))?;
    match user_id.as_i64() {
        Some(id) if users.delete(id).await? => Ok(answer::no_content()),
        _ => Err(HttpError::not_found("User not found")),
    }
}
