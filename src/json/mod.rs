//! JSON with the behaviour of Python's `json` module.
//!
//! Clients of the Python service depend on three properties of its JSON decoder: the accepted texts
//! (`NaN`, integers of any size, a byte order mark), the text of an echoed value (key order, `1.0`
//! and not `1`, `1e+16`), and the message and the position of an error. This module keeps all three,
//! as of CPython 3.11:
//!
//! - [`parse`] is `json.loads(bytes)`;
//! - [`Json::write_to`] is `json.dumps(value, ensure_ascii=False, allow_nan=False,
//!   separators=(",", ":"))`.
//!
//! Values inside other types pass through `serde_json` and keep the form of their numbers.

mod decode;
mod flat;
mod nesting;
mod number;
mod object;
mod parse;
mod serde_impl;
mod string;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod write;

pub(crate) use flat::{Flat, Part};
pub use number::Int;
pub use object::{Iter as ObjectIter, Object};
pub use parse::{MAX_DEPTH, MAX_INT_DIGITS, ParseError, parse, parse_lossy, parse_str};
pub use write::NotFinite;

/// One JSON value.
///
/// Equality is structural: the order of an object's keys does not count, and an integer never
/// equals a float (`1` is not `1.0`), because their texts differ.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent, of any size.
    Int(Int),
    /// A number with fraction or exponent; also `NaN` and the infinities, which Python reads too.
    Float(f64),
    /// Text
    String(String),
    /// A list
    Array(Vec<Json>),
    /// A dictionary in the order in which its keys were first seen
    Object(Object),
}

impl Json {
    /// An object of the given pairs; a repeated key keeps its first place and its last value.
    pub fn object<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Json)>) -> Json {
        Json::Object(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// An array of anything that converts into values.
    pub fn array<V: Into<Json>>(values: impl IntoIterator<Item = V>) -> Json {
        Json::Array(values.into_iter().map(Into::into).collect())
    }

    /// The value under `key`, when this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// The truth value, when this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, when this is one (a float such as `1.0` is not).
    #[must_use]
    pub fn as_int(&self) -> Option<&Int> {
        match self {
            Json::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The integer, when this is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_int()?.as_i64()
    }

    /// The number as the nearest double, when this is one; see [`Int::as_f64`] for huge integers.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Json::Int(value) => Some(value.as_f64()),
            Json::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, when this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(value) => Some(value),
            _ => None,
        }
    }

    /// The elements, when this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Json::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The object, when this is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The object for changing, when this is one.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Converts the value into an object.
    ///
    /// # Errors
    ///
    /// The unchanged value, when it is not an object.
    pub fn into_object(self) -> Result<Object, Json> {
        match self {
            Json::Object(object) => Ok(object),
            other => Err(other),
        }
    }

    /// Whether standard JSON can express the value: it holds no `NaN` and no infinity.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let mut waiting = vec![self];
        while let Some(value) = waiting.pop() {
            match value {
                Json::Float(number) if !number.is_finite() => return false,
                Json::Array(values) => waiting.extend(values),
                Json::Object(object) => waiting.extend(object.values()),
                _ => {}
            }
        }
        true
    }
}

impl Json {
    /// Sorts the keys of every object by their bytes, so that equal values have equal texts.
    pub fn sort_keys(&mut self) {
        let mut waiting = vec![self];
        while let Some(value) = waiting.pop() {
            match value {
                Json::Array(values) => waiting.extend(values),
                Json::Object(object) => {
                    object.sort_keys();
                    waiting.extend(object.values_mut());
                }
                _ => {}
            }
        }
    }

    /// Replaces `NaN` and the infinities by null.
    pub fn replace_not_finite(&mut self) {
        let mut waiting = vec![self];
        while let Some(value) = waiting.pop() {
            match value {
                Json::Float(number) if !number.is_finite() => *value = Json::Null,
                Json::Array(values) => waiting.extend(values),
                Json::Object(object) => waiting.extend(object.values_mut()),
                _ => {}
            }
        }
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Json {
            fn from(value: $integer) -> Json {
                Json::Int(Int::from(value))
            }
        }
    )*};
}

from_integers!(i32, i64, i128, u32, u64, u128, usize);

impl From<Int> for Json {
    fn from(value: Int) -> Json {
        Json::Int(value)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Json {
        Json::Float(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Json {
        Json::String(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Json {
        Json::String(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Json {
        Json::Array(values)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Json {
        Json::Object(object)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}
