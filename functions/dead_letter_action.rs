//! `POST /dead-letters/{action}`: runs the tasks of dead letters again, or deletes letters.

use async_service::dead_letters::LetterHandler;
use async_service::web::dead_letter::{
    self, DeadLetterOutcomes, Receipts, ReceiptsSchema, action, for_operators,
};
use async_service::web::openapi::{ErrorDetail, InvalidBody, Unavailable};
use async_service::web::{Body, HttpError, Request, Response, all, answer};
use async_service::{App, Error};

const ROUTE: &str = "/dead-letters/{action}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let letters = app.letter_handler()?;
    app.serve(ROUTE, letters, handle_dead_letters).await
}

/// Handles dead letters. `retry` runs the task of each letter again, as `POST /tasks/{task_id}/retry` does; a message
/// without a task's record goes back to its queue. Then the letter is deleted. `delete` deletes letters.
#[utoipa::path(
    post, path = ROUTE, tag = "tasks",
    params(("action" = inline(dead_letter::ActionSchema), Path, description = "What to do")),
    request_body(content = ReceiptsSchema),
    responses((status = 200, body = DeadLetterOutcomes, description = "The outcome for each letter"),
        (status = 403, body = ErrorDetail, description = "The caller sees only own tasks",
            example = json!({"detail": "Forbidden"})),
        InvalidBody, Unavailable),
)]
pub async fn handle_dead_letters(
    letters: &LetterHandler,
    request: Request,
) -> Result<Response<Body>, HttpError> {
    for_operators(&request)?;
    let receipts = Receipts::default();
    let (action, ids) = all((action(&request), receipts.read(&request)))?;
    let outcomes = letters.handle(action, &ids).await;
    Ok(answer::ok(&DeadLetterOutcomes::from(outcomes)))
}
