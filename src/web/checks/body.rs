//! Reads bodies as FastAPI does.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use lambda_http::Request;

use super::{Checked, Rejection, pydantic};
use crate::json::{self, Json, Object, ParseError};
use crate::web::Extract;
use crate::web::error::{FieldError, HttpError};

/// The body: parsed if the content type is JSON, and else as a text. Also returns whether U+FFFD replaced
/// half of a surrogate pair in the body.
pub(in crate::web) fn body(request: &Request) -> Checked<(Json, bool)> {
    let bytes: &[u8] = request.body().as_ref();
    if bytes.is_empty() {
        return Err(pydantic::missing(["body".into()], Json::Null).into());
    }
    let content_type = request.header(CONTENT_TYPE);
    if !content_type.is_some_and(|content_type| is_json(&content_type)) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return Ok((Json::String(text), false));
    }
    json::parse_lossy(bytes).map_err(|error| match error {
        ParseError::Syntax { message, position } => {
            let loc = ["body".into(), position.into()];
            let ctx = Json::object([("error", Json::from(message.to_string()))]);
            let input = Json::object::<String>([]);
            let error = FieldError::new("json_invalid", loc, "JSON decode error", input);
            HttpError::invalid(vec![error.with_ctx(ctx)]).into()
        }
        _ => HttpError::new(
            StatusCode::BAD_REQUEST,
            "There was an error parsing the body",
        )
        .into(),
    })
}

/// A body whose texts an answer can echo. Python fails to encode half of a surrogate pair.
pub(in crate::web) fn echoable((value, lone_surrogates): (Json, bool)) -> Checked<Json> {
    writable(lone_surrogates).map(|()| value)
}

/// Refuses a request whose answer would echo half of a surrogate pair.
pub(in crate::web) fn writable(echoes_half: bool) -> Checked<()> {
    if !echoes_half {
        return Ok(());
    }
    Err(Rejection::Last(Box::new(HttpError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "A text has a surrogate without its other half",
    ))))
}

/// True for `application/json` and `application/…+json`, with any parameters, and false for a value with a
/// comma, as in FastAPI. Of a repeated header FastAPI uses the first value. Here the gateway joins the
/// values by commas.
fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| {
        !subtype.contains('/') && (subtype == "json" || subtype.ends_with("+json"))
    })
}

/// A value that must be an object, with Pydantic's error for a `dict`.
pub(in crate::web) fn object(value: Json) -> Checked<Object> {
    value.into_object().map_err(|other| {
        let msg = "Input should be a valid dictionary";
        FieldError::new("dict_type", ["body".into()], msg, other).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_content_types_of_fastapi() {
        for yes in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/a+json",
        ] {
            assert!(is_json(yes), "{yes}");
        }
        for no in [
            "text/plain",
            "text/plain,application/json",
            "application/json,text/plain",
            "text/json",
            "application/x/y+json",
            "application/jsonx",
            "",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!is_json(no), "{no}");
        }
    }
}
