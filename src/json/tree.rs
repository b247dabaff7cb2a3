//! Builds a document's value.

use super::parse::{Scalar, Sink};
use super::string::Literal;
use super::{Json, Object};

/// Builds a value, with an explicit stack instead of recursion.
pub(super) struct Tree<'a> {
    text: &'a str,
    open: Vec<Open>,
    /// The outermost value, once it has ended.
    value: Json,
}

/// An open array or object.
enum Open {
    Array(Vec<Json>),
    /// The object so far, and the key whose value comes next.
    Object(Object, String),
}

impl<'a> Tree<'a> {
    /// A builder for the parts of `text`.
    pub fn new(text: &'a str) -> Tree<'a> {
        Tree {
            text,
            open: Vec::new(),
            value: Json::Null,
        }
    }

    /// The value, after all parts of the document.
    pub fn value(self) -> Json {
        self.value
    }

    fn put(&mut self, value: Json) {
        match self.open.last_mut() {
            None => self.value = value,
            Some(Open::Array(values)) => values.push(value),
            Some(Open::Object(object, key)) => {
                object.insert(std::mem::take(key), value);
            }
        }
    }
}

impl Sink for Tree<'_> {
    fn scalar(&mut self, value: Scalar) {
        self.put(match value {
            Scalar::Null => Json::Null,
            Scalar::Bool(value) => Json::Bool(value),
            Scalar::Int(int) => Json::Int(int),
            Scalar::Float(number) => Json::Float(number),
            Scalar::String(literal) => Json::String(literal.into_string(self.text)),
        });
    }

    fn begin_array(&mut self) {
        self.open.push(Open::Array(Vec::new()));
    }

    fn begin_object(&mut self) {
        self.open.push(Open::Object(Object::new(), String::new()));
    }

    fn key(&mut self, literal: Literal) {
        if let Some(Open::Object(_, key)) = self.open.last_mut() {
            *key = literal.into_string(self.text);
        }
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Array(values)) => self.put(Json::Array(values)),
            Some(Open::Object(object, _)) => self.put(Json::Object(object)),
            None => {}
        }
    }
}

/// Whether U+FFFD occurs in a value. The replacement of a lone surrogate is gone if a later member with
/// the same key has replaced its member.
pub(super) fn has_replacement(value: &Json) -> bool {
    let is_in = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Json::String(text) if is_in(text) => return true,
            Json::Array(values) => waiting.extend(values),
            Json::Object(object) if object.keys().any(|key| is_in(key)) => return true,
            Json::Object(object) => waiting.extend(object.values()),
            _ => {}
        }
    }
    false
}
