//! A value as a field sees it, wherever it is held.

use std::borrow::Cow;

use super::records::{Amount, Number};
use crate::json::{Flat, Int, Json, Part};

/// A scalar, or how much a container holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'v> {
    Null,
    Bool(bool),
    Int(Cow<'v, Int>),
    Float(f64),
    Text(&'v str),
    /// A cell of a table that stands for a number.
    Cell(&'v str, Number),
    /// An array of so many values.
    Array(usize),
    /// An object of so many members.
    Object(usize),
}

impl<'v> From<&'v Json> for Value<'v> {
    fn from(value: &'v Json) -> Value<'v> {
        match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Int(int) => Value::Int(Cow::Borrowed(int)),
            Json::Float(number) => Value::Float(*number),
            Json::String(text) => Value::Text(text),
            Json::Array(values) => Value::Array(values.len()),
            Json::Object(object) => Value::Object(object.len()),
        }
    }
}

impl<'v> Value<'v> {
    /// A part of the document `text`; `None` where that is a key, or an end.
    pub fn of_part(part: Part, flat: &'v Flat, text: &'v str) -> Option<Value<'v>> {
        Some(match part {
            Part::Null => Value::Null,
            Part::Bool(value) => Value::Bool(value),
            Part::Int(int) => Value::Int(Cow::Owned(int.into())),
            Part::BigInt(span) => Value::Int(Cow::Owned(flat.big_int(span, text))),
            Part::Float(number) => Value::Float(number),
            Part::String(span) => Value::Text(flat.text(span, text)),
            Part::Array(count) => Value::Array(count),
            Part::Object(count) => Value::Object(count),
            Part::Key(_) | Part::End => return None,
        })
    }

    /// A scalar as a value of its own.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(int) => Json::Int(int.as_ref().clone()),
            Value::Float(number) => Json::Float(*number),
            Value::Text(text) => Json::from(*text),
            Value::Cell(_, number) => match &number.value {
                Amount::Int(int) => Json::Int(int.clone()),
                Amount::Float(number) => Json::Float(*number),
            },
            Value::Null | Value::Array(_) | Value::Object(_) => Json::Null,
        }
    }
}
