//! `$default`: requests that match no route of the gateway. Answers a path with a trailing slash by the
//! function of its route, and all other requests with FastAPI's 404, 405 and slash redirects.

use async_service::web::routes::Routes;
use async_service::web::{Access, Body, HttpError, Request, Response};
use async_service::{App, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // Open to everybody: the answers contain no data, and FastAPI answers 404 and 405 to everybody too.
    let app = App::from_env()?;
    let routes = Routes::below(app.config().base_path(), app.route_functions()?);
    app.serve_to(Access::Everybody, "$default", routes, fallback)
        .await
}

async fn fallback(routes: &Routes, request: Request) -> Result<Response<Body>, HttpError> {
    routes.answer(&request).await
}
