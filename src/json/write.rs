//! The encoder: `json.dumps(value, ensure_ascii=False, separators=(",", ":"))`.

use std::fmt;

use super::number::push_f64;
use super::string::push_string;
use super::{Json, object};

/// A value holds `NaN` or an infinity, which JSON cannot express: Python's `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Out of range float values are not JSON compliant")]
pub struct NotFinite;

impl Json {
    /// Appends the value to `out`: compact, with raw UTF-8, keys in order, numbers as in Python.
    ///
    /// # Errors
    ///
    /// [`NotFinite`], as Python with `allow_nan=False`. `out` then ends with a part of the value.
    pub fn write_to(&self, out: &mut String) -> Result<(), NotFinite> {
        let mut writer = Writer { out, finite: true };
        if writer.value(self) {
            Ok(())
        } else {
            Err(NotFinite)
        }
    }

    /// The value as text; see [`Json::write_to`].
    ///
    /// # Errors
    ///
    /// [`NotFinite`], when the value holds `NaN` or an infinity.
    pub fn to_text(&self) -> Result<String, NotFinite> {
        let mut out = String::new();
        self.write_to(&mut out)?;
        Ok(out)
    }
}

/// As [`Json::write_to`], but never fails: `NaN`, `Infinity` and `-Infinity` are written as words, as
/// Python does by default.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        Writer {
            out: &mut text,
            finite: false,
        }
        .value(self);
        f.write_str(&text)
    }
}

struct Writer<'o> {
    out: &'o mut String,
    /// Whether to stop at a number that is not finite.
    finite: bool,
}

/// The unwritten rest of a container.
enum Rest<'v> {
    Array(std::slice::Iter<'v, Json>),
    Object(object::Iter<'v>),
}

impl Writer<'_> {
    /// Writes `value` with an explicit stack, so that deep nesting cannot exhaust the thread's stack.
    /// Returns whether the whole value was written.
    fn value(&mut self, value: &Json) -> bool {
        let mut stack = Vec::new();
        if !self.begin(value, &mut stack) {
            return false;
        }
        let mut first = true;
        while let Some(rest) = stack.last_mut() {
            let Some(value) = self.next(rest, first) else {
                stack.pop();
                first = false;
                continue;
            };
            let depth = stack.len();
            if !self.begin(value, &mut stack) {
                return false;
            }
            first = stack.len() > depth;
        }
        true
    }

    /// Writes the comma and the key before a container's next value, or the closing bracket.
    fn next<'v>(&mut self, rest: &mut Rest<'v>, first: bool) -> Option<&'v Json> {
        let (next, end) = match rest {
            Rest::Array(values) => (values.next().map(|value| (None, value)), ']'),
            Rest::Object(pairs) => (pairs.next().map(|(key, value)| (Some(key), value)), '}'),
        };
        let Some((key, value)) = next else {
            self.out.push(end);
            return None;
        };
        if !first {
            self.out.push(',');
        }
        if let Some(key) = key {
            push_string(key, self.out);
            self.out.push(':');
        }
        Some(value)
    }

    /// Writes a scalar, or a container's opening bracket.
    fn begin<'v>(&mut self, value: &'v Json, stack: &mut Vec<Rest<'v>>) -> bool {
        match value {
            Json::Null => self.out.push_str("null"),
            Json::Bool(true) => self.out.push_str("true"),
            Json::Bool(false) => self.out.push_str("false"),
            Json::Int(int) => int.push_to(self.out),
            Json::Float(number) if self.finite && !number.is_finite() => return false,
            Json::Float(number) => push_f64(*number, self.out),
            Json::String(text) => push_string(text, self.out),
            Json::Array(values) => {
                self.out.push('[');
                stack.push(Rest::Array(values.iter()));
            }
            Json::Object(object) => {
                self.out.push('{');
                stack.push(Rest::Object(object.iter()));
            }
        }
        true
    }
}
