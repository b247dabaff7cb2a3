//! Bodies, as FastAPI reads them.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use lambda_http::Request;

use super::{Checked, Rejection, words};
use crate::json::{self, Json, Object, ParseError};
use crate::web::Extract;
use crate::web::error::{FieldError, HttpError};

/// The body, parsed where its content type says JSON, and else its text; and whether a half of a
/// character was replaced in it.
pub(in crate::web) fn body(request: &Request) -> Checked<(Json, bool)> {
    let bytes: &[u8] = request.body().as_ref();
    if bytes.is_empty() {
        return Err(words::missing(["body".into()], Json::Null).into());
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

/// A body whose texts can be echoed. Python fails when it encodes half a character.
pub(in crate::web) fn echoable((value, lone_surrogates): (Json, bool)) -> Checked<Json> {
    writable(lone_surrogates).map(|()| value)
}

/// Whether an answer can be written that echoes a text of the body, if it echoes half a character.
pub(in crate::web) fn writable(half_a_character: bool) -> Checked<()> {
    if !half_a_character {
        return Ok(());
    }
    Err(Rejection::Last(Box::new(HttpError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "A text has a surrogate without its other half",
    ))))
}

/// `application/json` and `application/…+json`, whatever parameters follow. A value with a comma is no
/// JSON, as in FastAPI. Of a header that was sent twice FastAPI takes the first value; here the gateway
/// joins the two values by a comma.
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

/// A value that must be an object, in the words that Pydantic has for a `dict`.
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
    fn content_types_that_are_json() {
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
