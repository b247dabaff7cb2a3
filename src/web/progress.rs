//! `POST /tasks/{task_id}/progress`: reads a report of a task's progress.

use lambda_http::Request;
use utoipa::ToSchema;

use super::checks::{Checked, Rejection, pydantic};
use super::error::{FieldError, Loc};
use super::extract::Extract;
use crate::json::{Json, Object};
use crate::tasks::record::Progress;

/// The longest message of a report, in characters. The report is a part of the record, and each write to a
/// record costs one unit for each KB of it.
const MAX_MESSAGE: usize = 1_000;

/// The progress of a task, in units of its body's own.
#[derive(Debug, ToSchema)]
#[schema(as = NewProgress, example = json!({"done": 3, "total": 10, "message": "page 3"}))]
pub struct NewProgressSchema {
    /// Units that are done.
    #[schema(minimum = 0)]
    pub done: u64,
    /// Units in all, if known.
    #[schema(required = false, minimum = 0)]
    pub total: Option<u64>,
    /// A sentence for people.
    #[schema(required = false, max_length = 1000)]
    pub message: Option<String>,
}

/// Reads a report.
///
/// # Errors
/// For a body that is no report.
pub fn report(request: &Request) -> Checked<Progress> {
    request.body_as_lossy(|body| {
        let body = body.into_object();
        let body = body.map_err(|other| pydantic::model(["body".into()], other))?;
        let mut errors = Vec::new();
        let done = keep(&mut errors, count(&body, "done"));
        let total = keep(&mut errors, count(&body, "total"));
        let message = keep(&mut errors, message(&body));
        if let Some(None) = done {
            let loc = ["body".into(), "done".into()];
            errors.insert(0, pydantic::missing(loc, Json::Object(body.clone())));
        }
        match (done.flatten(), total, message) {
            (Some(done), Some(total), Some(message)) if errors.is_empty() => Ok(Progress {
                done,
                total,
                message,
            }),
            _ => Err(Rejection::Fields(errors)),
        }
    })
}

type Found<T> = Result<T, Box<FieldError>>;

fn keep<T>(errors: &mut Vec<FieldError>, found: Found<T>) -> Option<T> {
    found.map_err(|error| errors.push(*error)).ok()
}

/// A number of units; `None` if the field is absent or null.
fn count(body: &Object, name: &str) -> Found<Option<u64>> {
    let loc: [Loc; 2] = ["body".into(), name.into()];
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let Some(number) = value.as_int() else {
        return Err(pydantic::integer(loc, value.clone()).into());
    };
    match number.as_i64().map(u64::try_from) {
        Some(Ok(number)) => Ok(Some(number)),
        None if !number.is_negative() => {
            Err(pydantic::at_most(loc, i64::MAX, value.clone()).into())
        }
        _ => Err(pydantic::at_least(loc, 0, value.clone()).into()),
    }
}

fn message(body: &Object) -> Found<Option<String>> {
    let loc: [Loc; 2] = ["body".into(), "message".into()];
    match body.get("message").filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(Json::String(text)) if text.chars().count() > MAX_MESSAGE => {
            Err(pydantic::long_string(loc, MAX_MESSAGE, text.as_str().into()).into())
        }
        Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(other) => Err(pydantic::string(loc, other.clone()).into()),
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::{Body, Request};

    use super::*;
    use crate::web::HttpError;
    use crate::web::answer::text_of;

    fn read(body: &str) -> Result<Progress, String> {
        let request = Request::new(Body::Text(body.to_owned()));
        let (mut head, body) = request.into_parts();
        let json = "application/json".parse().unwrap();
        head.headers.insert("content-type", json);
        let error =
            |error| text_of(&lambda_http::Response::from(HttpError::from(error))).to_owned();
        report(&Request::from_parts(head, body)).map_err(error)
    }

    #[test]
    fn a_report_has_units_and_a_message() {
        let whole = read(r#"{"done": 3, "total": 10, "message": "page 3", "more": 1}"#).unwrap();
        let expected = Progress {
            done: 3,
            total: Some(10),
            message: Some("page 3".to_owned()),
        };
        assert_eq!(whole, expected);
        let least = read(r#"{"done": 0, "total": null, "message": ""}"#).unwrap();
        assert_eq!(least, Progress::default());
    }

    #[test]
    fn a_wrong_report_has_the_errors_of_fastapi() {
        for (body, kind) in [
            ("{}", "missing"),
            (r#"{"done": -1}"#, "greater_than_equal"),
            (r#"{"done": 99999999999999999999}"#, "less_than_equal"),
            (r#"{"done": "x"}"#, "int_type"),
            (r#"{"done": 1, "total": true}"#, "int_type"),
            (r#"{"done": 1, "message": 5}"#, "string_type"),
            ("[]", "model_attributes_type"),
        ] {
            let error = read(body).unwrap_err();
            assert!(
                error.contains(&format!(r#""type":"{kind}""#)),
                "{body}: {error}"
            );
        }
        let long = format!(r#"{{"done": 1, "message": "{}"}}"#, "ä".repeat(1_001));
        assert!(read(&long).unwrap_err().contains("string_too_long"));
    }
}
