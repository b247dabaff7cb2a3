//! `POST /users/`: stores a user under a new id.

use async_service::users::{NewUserSchema, User, Users};
use async_service::web::openapi::{InvalidBody, Unavailable};
use async_service::web::user::new_user;
use async_service::web::{
    Body, Extract, HttpError, Request, Response, ResponseExt, StatusCode, all, answer,
};
use async_service::{App, Error};

const ROUTE: &str = "/users/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let users = app.users()?;
    app.serve(ROUTE, users, create_user).await
}

/// Stores a user under a new id. Fields beside the name and the email are kept.
#[utoipa::path(
    post, path = ROUTE, tag = "users",
    request_body(content = NewUserSchema),
    responses((status = 201, body = User, description = "The new user",
        headers(("Location" = String, description = "The path of the user"))),
        InvalidBody, Unavailable),
)]
pub async fn create_user(users: &Users, request: Request) -> Result<Response<Body>, HttpError> {
    let (user,) = all((new_user(&request),))?;
    let (id, user) = users.create(&user).await?;
    Ok(answer::raw(StatusCode::CREATED, user).at(&format!("{}/users/{id}", request.prefix())))
}
