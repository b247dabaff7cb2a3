//! `GET /dead-letters/?limit=`: the messages that could not be processed.

use async_service::dead_letters::LetterReader;
use async_service::web::dead_letter::{DeadLetter, Receipts, for_operators, limit};
use async_service::web::openapi::{ErrorDetail, Invalid, Unavailable};
use async_service::web::{Body, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/dead-letters/";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let letters = app.letter_reader()?;
    app.serve(ROUTE, letters, list_dead_letters).await
}

/// Messages that could not be processed, newest first. Of a queue with more than `limit` letters, which letters are
/// shown is SQS' choice; the next request may show others.
#[utoipa::path(
    get, path = ROUTE, tag = "tasks",
    params(("limit" = Option<i64>, Query, description = "The most letters. More than 100 counts as 100")),
    responses((status = 200, body = Vec<DeadLetter>, description = "The letters"),
        (status = 403, body = ErrorDetail, description = "The caller sees only own tasks",
            example = json!({"detail": "Forbidden"})),
        Invalid, Unavailable),
)]
pub async fn list_dead_letters(
    letters: &LetterReader,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    for_operators(&request)?;
    let (limit,) = all((limit(&request),))?;
    let letters = letters.list(limit).await.map_err(HttpError::unavailable)?;
    let receipts = Receipts::default();
    let shown = letters.into_iter().map(|letter| receipts.show(letter));
    Ok(answer::ok(&shown.collect::<Vec<DeadLetter>>()))
}
