//! Bounds of a 422: how much of a request its errors echo, and how many errors it lists.
//!
//! Pydantic echoes everything. A request of 2.4 MB can so become an answer of over 6 MB, which Lambda
//! does not carry.

use super::{FieldError, Loc};
use crate::json::Json;

/// The longest error that is answered in full, in bytes of JSON.
const MAX_ERROR: usize = 64 * 1024;
/// The most bytes of all errors of one answer, as JSON. In the function's response a byte takes at most
/// two, so that the answer is well below Lambda's 6 MB.
const MAX_ERRORS: usize = 1024 * 1024;
/// The most characters that are left of each text of an error over [`MAX_ERROR`].
const CUT: usize = 1_000;

/// The errors as they can be answered: an error over [`MAX_ERROR`] is cut, and errors beyond
/// [`MAX_ERRORS`] are counted by a last entry.
pub(super) fn bounded(errors: Vec<FieldError>) -> Vec<FieldError> {
    let count = errors.len();
    let mut listed = Vec::with_capacity(count.min(1_000));
    let mut total = 0;
    for error in errors {
        let mut bytes = size(&error);
        let mut error = error;
        if bytes > MAX_ERROR {
            error = cut(error);
            bytes = size(&error);
        }
        total += bytes;
        if total > MAX_ERRORS {
            listed.push(more(count - listed.len()));
            break;
        }
        listed.push(error);
    }
    listed
}

/// The length of an error in an answer, with the comma behind it.
fn size(error: &FieldError) -> usize {
    serde_json::to_string(error).map_or(0, |text| text.len() + 1)
}

/// The same error with the beginnings of its texts.
fn cut(error: FieldError) -> FieldError {
    let loc = error.loc.into_iter().map(|step| match step {
        Loc::Name(name) => Loc::Name(beginning(name)),
        index @ Loc::Index(_) => index,
    });
    FieldError {
        kind: error.kind,
        loc: loc.collect(),
        msg: beginning(error.msg),
        input: cut_value(error.input),
        ctx: error.ctx.map(cut_context),
    }
}

/// A short value as it is, a long one as the beginning of its text: of the text itself, or of the
/// value's JSON.
fn cut_value(value: Json) -> Json {
    match value {
        Json::String(text) => Json::String(beginning(text)),
        value => match value.to_text() {
            Ok(text) if text.len() > CUT => Json::String(beginning(text)),
            _ => value,
        },
    }
}

fn cut_context(context: Json) -> Json {
    match context {
        Json::Object(pairs) => {
            let pairs = pairs.into_iter();
            Json::object(pairs.map(|(name, value)| (name, cut_value(value))))
        }
        other => cut_value(other),
    }
}

/// The beginning of a long text, with a note of the text's length.
fn beginning(mut text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(CUT) else {
        return text;
    };
    let bytes = text.len();
    text.truncate(end);
    text.push_str(&format!("… (cut, {bytes} bytes in all)"));
    text
}

/// The entry for errors that are not listed.
fn more(count: usize) -> FieldError {
    let msg = format!("{count} more errors are not listed");
    FieldError::new("too_many_errors", [], msg, Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::checks::pydantic;

    fn loc() -> [Loc; 2] {
        ["body".into(), "name".into()]
    }

    fn text(errors: Vec<FieldError>) -> String {
        serde_json::to_string(&bounded(errors)).unwrap()
    }

    #[test]
    fn small_errors_stay_as_they_are() {
        let given = Json::array(vec![Json::from("x".repeat(98)); 600]);
        let errors = vec![
            pydantic::string(loc(), given),
            pydantic::missing(loc(), "\u{1f}"),
        ];
        assert_eq!(
            text(errors.clone()),
            serde_json::to_string(&errors).unwrap()
        );
    }

    #[test]
    fn a_large_input_is_cut_to_the_beginning_of_its_json() {
        let given = Json::array(vec![Json::from("ab"); 480_000]);
        let bytes = given.to_text().unwrap().len();
        let text = text(vec![pydantic::string(loc(), given)]);
        let cut: serde_json::Value = serde_json::from_str(&text).unwrap();
        let input = cut[0]["input"].as_str().unwrap();
        assert!(input.starts_with(r#"["ab","ab","#), "{input}");
        assert!(input.ends_with(&format!("… (cut, {bytes} bytes in all)")));
        assert_eq!(cut[0]["loc"][1], "name");
        assert!(text.len() < 4_000, "{} bytes", text.len());
    }

    #[test]
    fn whatever_is_large_is_cut() {
        let long = "é\n".repeat(500_000);
        let reason = pydantic::value([Loc::Name(long.clone())], &long, long.clone());
        let text = text(vec![reason]);
        assert!(text.len() < 20_000, "{} bytes", text.len());
        let cut: serde_json::Value = serde_json::from_str(&text).unwrap();
        let long = |value: &serde_json::Value| value.as_str().unwrap().chars().count() > 1_000;
        assert!(long(&cut[0]["ctx"]["error"]) && long(&cut[0]["msg"]) && long(&cut[0]["input"]));
    }

    #[test]
    fn many_errors_are_counted_and_not_all_listed() {
        let one = |index: usize| pydantic::string(["body".into(), index.into()], Json::Null);
        let text = text((0..1_000_000).map(one).collect());
        assert!(text.len() <= MAX_ERRORS + 200, "{} bytes", text.len());
        let listed: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let (last, listed) = listed.split_last().unwrap();
        let rest = 1_000_000 - listed.len();
        assert_eq!(last["msg"], format!("{rest} more errors are not listed"));
        assert_eq!(last["loc"], serde_json::json!([]));
    }

    #[test]
    fn large_errors_count_as_what_is_left_of_them() {
        let given = || Json::from("x".repeat(70_000));
        let errors: Vec<_> = (0..80).map(|_| pydantic::string(loc(), given())).collect();
        assert_eq!(bounded(errors).len(), 80);
    }
}
