//! Checks of a request's parts that collect all errors, in FastAPI's order and words.

use super::error::{FieldError, HttpError, Loc};
use super::int;
use super::request::Request;
use crate::json::{self, Int, Json, Object, ParseError};

/// A part of a request, or what is wrong with it.
pub type Checked<T> = Result<T, Rejection>;

/// What is wrong with a part of a request.
#[derive(Debug)]
pub enum Rejection {
    /// Errors to be listed together with those of the other parts.
    Fields(Vec<FieldError>),
    /// An error that is answered alone: FastAPI reads the body before it looks at any parameter.
    Alone(Box<HttpError>),
    /// What FastAPI takes and then cannot answer; it matters only where nothing else is wrong.
    Last(Box<HttpError>),
}

impl From<FieldError> for Rejection {
    fn from(error: FieldError) -> Rejection {
        Rejection::Fields(vec![error])
    }
}

impl From<HttpError> for Rejection {
    fn from(error: HttpError) -> Rejection {
        Rejection::Alone(Box::new(error))
    }
}

/// Several parts of a request, checked together. Name them path first, then query, then body.
pub fn all<P: Parts>(parts: P) -> Result<P::Values, HttpError> {
    gather(parts).map_err(HttpError::from)
}

/// Several parts as one, which itself may be a part of more.
pub fn gather<P: Parts>(parts: P) -> Checked<P::Values> {
    let mut rejections = Vec::new();
    parts
        .split(&mut rejections)
        .ok_or_else(|| merge(rejections))
}

fn merge(rejections: Vec<Rejection>) -> Rejection {
    let (mut fields, mut last) = (Vec::new(), None);
    for rejection in rejections {
        match rejection {
            Rejection::Fields(errors) => fields.extend(errors),
            Rejection::Alone(_) => return rejection,
            Rejection::Last(_) => last = Some(rejection),
        }
    }
    match last {
        Some(last) if fields.is_empty() => last,
        _ => Rejection::Fields(fields),
    }
}

impl From<Rejection> for HttpError {
    fn from(rejection: Rejection) -> HttpError {
        match rejection {
            Rejection::Fields(errors) => HttpError::invalid(errors),
            Rejection::Alone(error) | Rejection::Last(error) => *error,
        }
    }
}

/// A tuple of [`Checked`] parts.
pub trait Parts {
    /// The tuple of their values.
    type Values;
    /// The values, or `None` with every rejection added to the list.
    fn split(self, rejections: &mut Vec<Rejection>) -> Option<Self::Values>;
}

macro_rules! parts_of_tuples {
    ($(($($part:ident)+))+) => {$(
        #[allow(non_snake_case, reason = "each type's name also names its value")]
        impl<$($part),+> Parts for ($(Checked<$part>,)+) {
            type Values = ($($part,)+);
            fn split(self, rejections: &mut Vec<Rejection>) -> Option<Self::Values> {
                let ($($part,)+) = self;
                $(let $part = $part.map_err(|rejection| rejections.push(rejection));)+
                Some(($($part.ok()?,)+))
            }
        }
    )+};
}

parts_of_tuples! { (A) (A B) (A B C) (A B C D) }

/// A text that must be an integer.
pub(super) fn int(loc: &[Loc], text: &str) -> Checked<Int> {
    int::parse(text).map_err(|error| {
        let (kind, msg) = error.words();
        FieldError::new(kind, loc.iter().cloned(), msg, text).into()
    })
}

/// A parameter that must be there.
pub(super) fn required(loc: &[Loc], text: Option<&str>) -> Checked<String> {
    let missing = || FieldError::missing(loc.iter().cloned(), Json::Null).into();
    text.map(str::to_owned).ok_or_else(missing)
}

/// A list of integers; no text at all means that the parameter is absent, one empty text that the
/// list is empty.
pub(super) fn ints(name: &str, texts: &[&str]) -> Checked<Option<Vec<Int>>> {
    match texts {
        [] => return Ok(None),
        [""] => return Ok(Some(Vec::new())),
        _ => {}
    }
    let mut ints = Vec::with_capacity(texts.len());
    let mut errors = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match int(&["query".into(), name.into(), index.into()], text) {
            Ok(value) => ints.push(value),
            Err(Rejection::Fields(found)) => errors.extend(found),
            Err(other) => return Err(other),
        }
    }
    if errors.is_empty() {
        Ok(Some(ints))
    } else {
        Err(Rejection::Fields(errors))
    }
}

/// The body, parsed where its content type says JSON, and else its text; and whether a half of a
/// character was replaced in it.
pub(super) fn body(request: &Request) -> Checked<(Json, bool)> {
    if request.body().is_empty() {
        return Err(FieldError::missing(["body".into()], Json::Null).into());
    }
    if !request
        .header(http::header::CONTENT_TYPE)
        .is_some_and(is_json)
    {
        let text = String::from_utf8_lossy(request.body()).into_owned();
        return Ok((Json::String(text), false));
    }
    json::parse_lossy(request.body()).map_err(|error| match error {
        ParseError::Syntax { message, position } => {
            let loc = ["body".into(), position.into()];
            let ctx = Json::object([("error", Json::from(message.to_string()))]);
            let input = Json::object::<String>([]);
            let error = FieldError::new("json_invalid", loc, "JSON decode error", input);
            HttpError::invalid(vec![error.with_ctx(ctx)]).into()
        }
        _ => HttpError::new(
            http::StatusCode::BAD_REQUEST,
            "There was an error parsing the body",
        )
        .into(),
    })
}

/// A body whose texts can be echoed. Python fails when it encodes half a character.
pub(super) fn echoable((value, lone_surrogates): (Json, bool)) -> Checked<Json> {
    writable(lone_surrogates).map(|()| value)
}

/// Whether an answer can be written that echoes a text of the body, if it echoes half a character.
pub(super) fn writable(half_a_character: bool) -> Checked<()> {
    if !half_a_character {
        return Ok(());
    }
    Err(Rejection::Last(Box::new(HttpError::new(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        "A text has a surrogate without its other half",
    ))))
}

/// `application/json` and `application/…+json`, whatever parameters follow.
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
pub(super) fn object(value: Json) -> Checked<Object> {
    value.into_object().map_err(|other| {
        FieldError::new(
            "dict_type",
            ["body".into()],
            "Input should be a valid dictionary",
            other,
        )
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Answer;

    fn detail(rejection: Rejection) -> String {
        Answer::from(HttpError::from(rejection)).body().to_owned()
    }

    #[test]
    fn all_errors_are_listed_in_order() {
        let path = int(&["path".into(), "item_id".into()], "foo");
        let query = int(&["query".into(), "limit".into()], "1.5");
        let error = all((path, query, Ok(1))).unwrap_err();
        assert_eq!(error.status(), 422);
        assert_eq!(
            Answer::from(error).body(),
            concat!(
                r#"{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"foo"},"#,
                r#"{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"1.5"}]}"#
            )
        );
    }

    #[test]
    fn an_unreadable_body_is_answered_alone() {
        let path = int(&["path".into(), "item_id".into()], "foo");
        let alone = HttpError::new(http::StatusCode::BAD_REQUEST, "no");
        let error = all::<(Checked<Int>, Checked<()>)>((path, Err(alone.into()))).unwrap_err();
        assert_eq!(error.status(), 400);
    }

    #[test]
    fn what_cannot_be_echoed_matters_last() {
        let path = || int(&["path".into(), "item_id".into()], "foo");
        let half = || echoable((Json::from("\u{fffd}"), true)).map(drop);
        let both = detail(gather((path(), half())).unwrap_err());
        assert_eq!(both, detail(path().unwrap_err()));
        let error = all((Ok(1), half())).unwrap_err();
        assert_eq!(error.status(), 422);
    }

    #[test]
    fn a_missing_parameter_has_a_null_input() {
        let rejection = required(&["query".into(), "url".into()], None).unwrap_err();
        let expected = r#"{"detail":[{"type":"missing","loc":["query","url"],"msg":"Field required","input":null}]}"#;
        assert_eq!(detail(rejection), expected);
        assert_eq!(
            required(&["query".into(), "url".into()], Some("")).unwrap(),
            ""
        );
    }

    #[test]
    fn each_wrong_member_of_a_list_is_named() {
        let rejection = ints("ids", &["1", "x", "", "4"]).unwrap_err();
        let body = detail(rejection);
        assert!(body.contains(r#""loc":["query","ids",1]"#), "{body}");
        assert!(body.contains(r#""loc":["query","ids",2]"#), "{body}");
    }

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
