//! Kombu's typed JSON: an object of the two keys `__type__` and `__value__` stands for a Python value
//! that JSON has not.
//!
//! A value of a message stays typed, so that Python reads what Python wrote. A Rust job gets plain JSON.

use uuid::Uuid;

use crate::json::{Json, Object};

/// A typed value whose type is unknown, or whose content does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value of the type {0:?} cannot be read")]
pub struct BadType(pub String);

/// The longest name of a type in an error, in characters.
const MAX_NAME: usize = 40;

/// Turns every typed value into plain JSON: a date or time into its ISO text, a decimal into its text, a
/// UUID into its hyphenated text, bytes into text, and other bytes into their base64.
///
/// # Errors
/// For a type that kombu does not write. `value` is then partly converted.
pub fn to_plain(value: &mut Json) -> Result<(), BadType> {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        if let Some(plain) = value.as_object().and_then(plain) {
            *value = plain?;
            continue;
        }
        match value {
            Json::Array(values) => waiting.extend(values),
            Json::Object(object) => waiting.extend(object.values_mut()),
            _ => {}
        }
    }
    Ok(())
}

/// The plain form of a typed value; `None` for an object that is not typed.
fn plain(object: &Object) -> Option<Result<Json, BadType>> {
    let (name, value) = (object.get("__type__")?, object.get("__value__")?);
    if object.len() != 2 {
        return None;
    }
    let name = name.as_str().unwrap_or_default();
    let text = match name {
        "datetime" | "date" | "time" | "decimal" | "bytes" | "base64" => {
            value.as_str().map(str::to_owned)
        }
        "uuid" => {
            let hex = value.get("hex").and_then(Json::as_str);
            let uuid = hex.and_then(|hex| Uuid::try_parse(hex).ok());
            uuid.map(|uuid| uuid.to_string())
        }
        _ => None,
    };
    let bad = || BadType(name.chars().take(MAX_NAME).collect());
    Some(text.map(Json::String).ok_or_else(bad))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_str;

    fn plain(text: &str) -> Result<String, BadType> {
        let mut value = parse_str(text).unwrap();
        to_plain(&mut value).map(|()| value.to_string())
    }

    fn typed(name: &str, value: &str) -> String {
        format!(r#"{{"__type__": "{name}", "__value__": {value}}}"#)
    }

    #[test]
    fn every_type_of_kombu_becomes_text() {
        let hex = r#"{"hex": "11111111222243338444555555555555"}"#;
        let values = [
            typed("datetime", r#""2024-01-02T03:04:05+00:00""#),
            typed("decimal", r#""1.50""#),
            typed("uuid", hex),
            typed("bytes", r#""abé""#),
            typed("base64", r#""AP8=""#),
        ];
        let expected = r#"{"a":["2024-01-02T03:04:05+00:00","1.50","11111111-2222-4333-8444-555555555555","abé","AP8="]}"#;
        let text = format!(r#"{{"a": [{}]}}"#, values.join(","));
        assert_eq!(plain(&text).unwrap(), expected);
    }

    #[test]
    fn other_objects_stay_as_they_are() {
        for text in [
            r#"{"__type__":"datetime"}"#,
            r#"{"__type__":"datetime","__value__":"x","b":1}"#,
            r#"[NaN,123456789012345678901234567890,1.0]"#,
        ] {
            assert_eq!(plain(text).unwrap(), text);
        }
    }

    #[test]
    fn unknown_types_and_wrong_contents_are_refused() {
        for (name, value) in [("set", "[1]"), ("uuid", r#""x""#), ("date", "1")] {
            let error = plain(&typed(name, value)).unwrap_err();
            assert_eq!(error, BadType(name.to_owned()));
        }
    }
}
