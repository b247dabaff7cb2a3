//! `GET /fetch/?url=`: fetches a URL and answers its JSON.

use async_service::fetch::Fetcher;
use async_service::web::openapi::{FetchFailed, Invalid};
use async_service::web::{
    Body, Extract, HttpError, Request, Response, StatusCode, all, answer, json_of,
};
use async_service::{App, Error};

const ROUTE: &str = "/fetch/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let fetcher = app.fetcher()?;
    app.serve(ROUTE, fetcher, fetch).await
}

/// Fetches a URL and answers its JSON. A URL that leads into a private network is refused.
#[utoipa::path(
    get, path = ROUTE, tag = "fetch",
    params(("url" = String, Query, example = "https://example.com/data.json")),
    responses((status = 200, body = serde_json::Value, description = "The JSON at the URL",
        example = json!({"id": 7, "name": "Ada"})),
        FetchFailed, Invalid),
)]
pub async fn fetch(fetcher: &Fetcher, request: Request) -> Result<Response<Body>, HttpError> {
    let (url,) = all((request.query_required("url"),))?;
    let fetcher = fetcher.in_trace(request.trace().as_ref());
    let json = json_of(&fetcher.get(&url).await?)?;
    let text = json
        .to_text()
        .map_err(|_| HttpError::bad_gateway("The URL's JSON has NaN in it"))?;
    Ok(answer::raw(StatusCode::OK, text))
}
