//! Dead letters: reads requests about them, and shows them.

use http::StatusCode;
use lambda_http::Request;
use serde::Serialize;
use utoipa::ToSchema;

use super::checks::{Checked, Rejection, pydantic};
use super::cursor::Cursor;
use super::error::{HttpError, Loc};
use super::extract::Extract;
use super::task_view::time;
use crate::dead_letters::{Action, Outcome, Shown};
use crate::json::Json;
use crate::tasks::id::TaskId;
use crate::tasks::viewer::Viewer;

/// The most letters of one list, and the most receipts of one request.
const MAX_LETTERS: usize = 100;
/// The most characters of a body that are shown.
const MAX_SHOWN: usize = 4096;
/// Stands for the reason of a letter that came to the queue without one.
const NO_REASON: &str = "SQS gave the message up: the function `dead_letter` has not processed it";

/// Refuses a viewer who sees only own tasks: a letter may be anybody's.
///
/// # Errors
/// 403 for such a viewer.
pub fn for_operators(request: &Request) -> Result<(), HttpError> {
    match request.viewer() {
        Viewer::Everyone => Ok(()),
        Viewer::Caller(_) => Err(HttpError::new(StatusCode::FORBIDDEN, "Forbidden")),
    }
}

/// The number of letters of a list: `?limit=`, 1 to 100.
///
/// # Errors
/// For a text that is no integer.
pub fn limit(request: &Request) -> Checked<usize> {
    let limit = request.query_int("limit", 10)?;
    let beyond = if limit.is_negative() { 1 } else { i64::MAX };
    let limit = usize::try_from(limit.as_i64().unwrap_or(beyond)).unwrap_or(1);
    Ok(limit.clamp(1, MAX_LETTERS))
}

/// A message that could not be processed.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// The id of the message in SQS.
    id: String,
    /// Names the letter in `POST /dead-letters/{action}`.
    receipt: String,
    /// The id of the message's task; null if the message has no readable id.
    #[schema(value_type = Option<String>)]
    task_id: Option<TaskId>,
    /// The name of the task's job; null if the message has no readable name.
    job: Option<String>,
    /// Why the message was not processed.
    reason: String,
    /// When the message came to the dead-letter queue.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
    /// How often the letter was received: each list that shows the letter, and each action that looks for a
    /// letter, receives letters.
    receives: u32,
    /// The first 4,096 characters of the message.
    body: String,
}

/// Makes and reads receipts. A receipt is made only for a letter that was shown.
#[derive(Debug, Clone)]
pub struct Receipts(Cursor);

impl Default for Receipts {
    fn default() -> Receipts {
        Receipts(Cursor::of("dead-letters"))
    }
}

impl Receipts {
    /// The view of a letter.
    pub fn show(&self, shown: Shown) -> DeadLetter {
        let Shown { letter, content } = shown;
        let body = content.body.unwrap_or(letter.body);
        DeadLetter {
            receipt: self.0.seal_text(&letter.held.id),
            id: letter.held.id,
            task_id: content.task_id,
            job: content.job,
            reason: letter.reason.unwrap_or_else(|| NO_REASON.to_owned()),
            sent_at: letter.sent_at.map(time),
            receives: letter.receives,
            body: body.chars().take(MAX_SHOWN).collect(),
        }
    }

    /// The ids of the letters in the body of a request: `{"receipts": […]}`. A text that is no receipt stands
    /// for a letter that is gone.
    ///
    /// # Errors
    /// For a body without 1 to 100 texts.
    pub fn read(&self, request: &Request) -> Checked<Vec<String>> {
        let texts = request.body_as_lossy(texts)?;
        let ids = texts.iter().map(|text| self.0.open_text(text));
        Ok(ids.map(Option::unwrap_or_default).collect())
    }
}

fn texts(body: Json) -> Checked<Vec<String>> {
    let loc: [Loc; 2] = ["body".into(), "receipts".into()];
    let body = body.into_object();
    let mut body = body.map_err(|other| pydantic::model(["body".into()], other))?;
    let Some(given) = body.remove("receipts") else {
        return Err(pydantic::missing(loc, Json::Object(body)).into());
    };
    let Json::Array(given) = given else {
        return Err(pydantic::list(loc, given).into());
    };
    match given.len() {
        0 => return Err(pydantic::too_short(loc, 1, 0, Json::Array(given)).into()),
        1..=MAX_LETTERS => {}
        count => {
            return Err(pydantic::too_long(loc, MAX_LETTERS, count, Json::Array(given)).into());
        }
    }
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    for (at, given) in given.into_iter().enumerate() {
        match given {
            Json::String(text) => texts.push(text),
            other => {
                let loc = ["body".into(), "receipts".into(), at.into()];
                errors.push(pydantic::string(loc, other));
            }
        }
    }
    match errors.is_empty() {
        true => Ok(texts),
        false => Err(Rejection::Fields(errors)),
    }
}

/// Letters to handle.
#[derive(Debug, ToSchema)]
#[schema(as = DeadLetterReceipts, example = json!({"receipts": ["gW5…"]}))]
pub struct ReceiptsSchema {
    /// The receipts of the letters, as `GET /dead-letters/` has them.
    #[schema(min_items = 1, max_items = 100)]
    pub receipts: Vec<String>,
}

/// The actions as the OpenAPI document shows them.
#[derive(Debug, ToSchema)]
#[schema(as = DeadLetterAction, rename_all = "snake_case")]
pub enum ActionSchema {
    /// See [`Action::Retry`].
    Retry,
    /// See [`Action::Delete`].
    Delete,
}

/// The action in the path of a request, `{action}`.
///
/// # Errors
/// For a text that is no action.
pub fn action(request: &Request) -> Checked<Action> {
    match request.path_text("action") {
        "retry" => Ok(Action::Retry),
        "delete" => Ok(Action::Delete),
        other => {
            let loc = ["path".into(), "action".into()];
            Err(pydantic::enumeration(loc, &["retry", "delete"], other.into()).into())
        }
    }
}

/// What has become of letters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"outcomes": [
    {"status": 200, "detail": "The task runs again"},
    {"status": 409, "detail": "The task is running"},
]}))]
pub struct DeadLetterOutcomes {
    /// One outcome for each receipt, in order.
    outcomes: Vec<DeadLetterOutcome>,
}

/// What has become of one letter.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterOutcome {
    /// 200: done. 404: the queue has no such letter. 409: the letter stays, for the reason in `detail`.
    /// 503: an AWS service did not answer, and the letter stays.
    status: u16,
    /// The outcome in words.
    detail: String,
}

impl From<Vec<Outcome>> for DeadLetterOutcomes {
    fn from(outcomes: Vec<Outcome>) -> DeadLetterOutcomes {
        let outcomes = outcomes.into_iter().map(|outcome| {
            let (status, detail) = match outcome {
                Outcome::Retried => (200, "The task runs again"),
                Outcome::SentBack => (200, "The message is in its queue again"),
                Outcome::Deleted => (200, "The letter is deleted"),
                Outcome::Gone => (404, "Dead letter not found"),
                Outcome::NotReached => (409, "The letter was not among the first of the queue"),
                Outcome::Failed => (503, "Service temporarily unavailable"),
                Outcome::Refused(reason) => {
                    return DeadLetterOutcome {
                        status: 409,
                        detail: reason,
                    };
                }
            };
            DeadLetterOutcome {
                status,
                detail: detail.to_owned(),
            }
        });
        DeadLetterOutcomes {
            outcomes: outcomes.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
