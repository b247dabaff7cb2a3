//! Checks the parts of a request, and collects all errors in FastAPI's order. Only this module has
//! Pydantic's texts: [`pydantic`] makes the errors, `int` parses integers, `body` reads bodies.

mod body;
mod int;
pub mod pydantic;

use super::error::{FieldError, HttpError, Loc};
use crate::json::{Int, Json};

pub(super) use body::{body, echoable, object, writable};

/// A part of a request, or its errors.
pub type Checked<T> = Result<T, Rejection>;

/// The errors of a part of a request.
#[derive(Debug)]
pub enum Rejection {
    /// Errors that are listed together with the errors of other parts.
    Fields(Vec<FieldError>),
    /// An error that hides the errors of all other parts: FastAPI reads the body before any parameter.
    Alone(Box<HttpError>),
    /// An error that is answered only if no other part has an error: FastAPI accepts the value, and fails
    /// when it writes the answer.
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

/// Checks several parts of a request. The order of the arguments is path, query, body.
pub fn all<P: Parts>(parts: P) -> Result<P::Values, HttpError> {
    gather(parts).map_err(HttpError::from)
}

/// Combines several parts into one part, for use in another [`all`] or [`gather`].
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
    /// The tuple of the parts' values.
    type Values;
    /// The values of all parts, or `None`. Every rejection is added to the list.
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
        let (kind, msg) = error.type_and_message();
        FieldError::new(kind, loc.iter().cloned(), msg, text).into()
    })
}

/// The truth value that a text spells in any case, for Pydantic and for Flower; `None` for another text.
pub(super) fn flag(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
        "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// A required parameter.
pub(super) fn required(loc: &[Loc], text: Option<&str>) -> Checked<String> {
    let missing = || pydantic::missing(loc.iter().cloned(), Json::Null).into();
    text.map(str::to_owned).ok_or_else(missing)
}

/// A list of integers. Without texts the parameter is absent. A single empty text is an empty list.
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

#[cfg(test)]
mod tests {
    use lambda_http::Response;

    use super::*;
    use crate::web::answer::text_of;

    fn detail(rejection: Rejection) -> String {
        text_of(&Response::from(HttpError::from(rejection))).to_owned()
    }

    #[test]
    fn all_errors_are_listed_in_the_order_of_the_parts() {
        let path = int(&["path".into(), "item_id".into()], "foo");
        let query = int(&["query".into(), "limit".into()], "1.5");
        let error = all((path, query, Ok(1))).unwrap_err();
        assert_eq!(error.status(), 422);
        assert_eq!(
            text_of(&Response::from(error)),
            concat!(
                r#"{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"foo"},"#,
                r#"{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"1.5"}]}"#
            )
        );
    }

    #[test]
    fn an_unreadable_body_hides_other_errors() {
        let path = int(&["path".into(), "item_id".into()], "foo");
        let alone = HttpError::new(http::StatusCode::BAD_REQUEST, "no");
        let error = all::<(Checked<Int>, Checked<()>)>((path, Err(alone.into()))).unwrap_err();
        assert_eq!(error.status(), 400);
    }

    #[test]
    fn half_of_a_surrogate_pair_is_an_error_only_without_other_errors() {
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
    fn each_wrong_member_of_a_list_has_an_error() {
        let rejection = ints("ids", &["1", "x", "", "4"]).unwrap_err();
        let body = detail(rejection);
        assert!(body.contains(r#""loc":["query","ids",1]"#), "{body}");
        assert!(body.contains(r#""loc":["query","ids",2]"#), "{body}");
    }
}
