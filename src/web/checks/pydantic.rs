//! Pydantic's errors, with Pydantic's `type`, `msg` and `ctx`.

use crate::json::Json;
use crate::web::error::{FieldError, Loc};

/// A required field is absent from `input`.
pub fn missing(loc: impl IntoIterator<Item = Loc>, input: impl Into<Json>) -> FieldError {
    FieldError::new("missing", loc, "Field required", input)
}

/// A value is not a text.
pub fn string(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    FieldError::new("string_type", loc, "Input should be a valid string", given)
}

/// A text has more than `limit` characters.
pub fn long_string(loc: impl IntoIterator<Item = Loc>, limit: usize, given: Json) -> FieldError {
    let msg = format!("String should have at most {limit} characters");
    let ctx = Json::object([("max_length", Json::from(count(limit)))]);
    FieldError::new("string_too_long", loc, msg, given).with_ctx(ctx)
}

/// A text has fewer than `limit` characters.
pub fn short_string(loc: impl IntoIterator<Item = Loc>, limit: usize, given: Json) -> FieldError {
    let plural = if limit == 1 { "" } else { "s" };
    let msg = format!("String should have at least {limit} character{plural}");
    let ctx = Json::object([("min_length", Json::from(count(limit)))]);
    FieldError::new("string_too_short", loc, msg, given).with_ctx(ctx)
}

/// A value is not an integer.
pub fn integer(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    FieldError::new("int_type", loc, "Input should be a valid integer", given)
}

/// A value is not a finite number.
pub fn number(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    FieldError::new("float_type", loc, "Input should be a valid number", given)
}

/// A value is not a truth value.
pub fn boolean(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    FieldError::new("bool_type", loc, "Input should be a valid boolean", given)
}

/// A text in a query is not a truth value.
pub fn boolean_text(loc: impl IntoIterator<Item = Loc>, given: &str) -> FieldError {
    let msg = "Input should be a valid boolean, unable to interpret input";
    FieldError::new("bool_parsing", loc, msg, given)
}

/// A value is not a list.
pub fn list(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    FieldError::new("list_type", loc, "Input should be a valid list", given)
}

/// A value is not a time with a time zone.
pub fn datetime(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    let msg = "Input should be a valid datetime with a time zone, such as 2030-01-31T12:00:00Z";
    FieldError::new("datetime_parsing", loc, msg, given)
}

/// A value is not an object with the fields of a model.
pub fn model(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    let msg = "Input should be a valid dictionary or object to extract fields from";
    FieldError::new("model_attributes_type", loc, msg, given)
}

/// A text is not one of `names`, the values of a `Literal`.
pub fn literal(loc: impl IntoIterator<Item = Loc>, names: &[&str], given: Json) -> FieldError {
    choice("literal_error", loc, names, given)
}

/// A text is not one of `names`, the values of an `Enum`.
pub fn enumeration(loc: impl IntoIterator<Item = Loc>, names: &[&str], given: Json) -> FieldError {
    choice("enum", loc, names, given)
}

fn choice(
    kind: &'static str,
    loc: impl IntoIterator<Item = Loc>,
    names: &[&str],
    given: Json,
) -> FieldError {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let expected = match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    };
    let msg = format!("Input should be {expected}");
    let ctx = Json::object([("expected", Json::from(expected))]);
    FieldError::new(kind, loc, msg, given).with_ctx(ctx)
}

/// A number is below `limit`.
pub fn at_least(loc: impl IntoIterator<Item = Loc>, limit: i64, given: Json) -> FieldError {
    let msg = format!("Input should be greater than or equal to {limit}");
    let ctx = Json::object([("ge", Json::from(limit))]);
    FieldError::new("greater_than_equal", loc, msg, given).with_ctx(ctx)
}

/// A number is above `limit`.
pub fn at_most(loc: impl IntoIterator<Item = Loc>, limit: i64, given: Json) -> FieldError {
    let msg = format!("Input should be less than or equal to {limit}");
    let ctx = Json::object([("le", Json::from(limit))]);
    FieldError::new("less_than_equal", loc, msg, given).with_ctx(ctx)
}

/// A list has `length` members, fewer than `limit`.
pub fn too_short(
    loc: impl IntoIterator<Item = Loc>,
    limit: usize,
    length: usize,
    given: Json,
) -> FieldError {
    let items = if limit == 1 { "item" } else { "items" };
    let msg = format!("List should have at least {limit} {items} after validation, not {length}");
    let ctx = Json::object([
        ("field_type", Json::from("List")),
        ("min_length", Json::from(count(limit))),
        ("actual_length", Json::from(count(length))),
    ]);
    FieldError::new("too_short", loc, msg, given).with_ctx(ctx)
}

/// A list has `length` members, more than `limit`.
pub fn too_long(
    loc: impl IntoIterator<Item = Loc>,
    limit: usize,
    length: usize,
    given: Json,
) -> FieldError {
    let msg = format!("List should have at most {limit} items after validation, not {length}");
    let ctx = Json::object([
        ("field_type", Json::from("List")),
        ("max_length", Json::from(count(limit))),
        ("actual_length", Json::from(count(length))),
    ]);
    FieldError::new("too_long", loc, msg, given).with_ctx(ctx)
}

/// A field is not one of the model's fields.
pub fn extra(loc: impl IntoIterator<Item = Loc>, given: Json) -> FieldError {
    FieldError::new(
        "extra_forbidden",
        loc,
        "Extra inputs are not permitted",
        given,
    )
}

/// A validator refuses a value because of `reason`.
pub fn value(
    loc: impl IntoIterator<Item = Loc>,
    reason: &str,
    given: impl Into<Json>,
) -> FieldError {
    let ctx = Json::object([("error", Json::from(reason))]);
    FieldError::new("value_error", loc, format!("Value error, {reason}"), given).with_ctx(ctx)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
