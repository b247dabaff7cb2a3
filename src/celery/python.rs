//! Values as Python's `repr` writes them.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::json::{Json, Object};

/// The longest representation of arguments in a header, in characters.
const MAX_REPR: usize = 1024;
/// How deep arguments are written out in a header.
const MAX_LEVELS: usize = 3;

/// `repr` of a text.
pub fn text(text: &str) -> String {
    let quote = quote(text.contains('\''), text.contains('"'));
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if u32::from(c) < 0x20 || ('\u{7f}'..='\u{a0}').contains(&c) || c == '\u{ad}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `repr` of bytes.
pub fn bytes(bytes: &[u8]) -> String {
    let quote = quote(bytes.contains(&b'\''), bytes.contains(&b'"'));
    let mut out = String::with_capacity(bytes.len() + 3);
    out.extend(['b', quote]);
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if char::from(byte) == quote => out.extend(['\\', quote]),
            0x20..=0x7E => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
    out
}

/// The quote that Python takes: the other one only where that spares escapes.
fn quote(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

/// The positional arguments for the header `argsrepr`: a tuple, cut as Celery cuts it.
pub fn args(args: &[Json]) -> String {
    let mut repr = Repr::default();
    repr.list(args, ["(", if args.len() == 1 { ",)" } else { ")" }]);
    repr.out
}

/// The keyword arguments for the header `kwargsrepr`.
pub fn kwargs(kwargs: &Object) -> String {
    let mut repr = Repr::default();
    repr.dict(kwargs);
    repr.out
}

/// A value for a person: as the arguments of a header, but a list as a list.
pub fn value(value: &Json) -> String {
    let mut repr = Repr::default();
    repr.value(value);
    repr.out
}

/// Writes values until [`MAX_REPR`] characters are written; brackets are closed beyond that.
#[derive(Default)]
struct Repr {
    out: String,
    /// The number of characters of `out`.
    written: usize,
    level: usize,
    /// Whether the rest is left out.
    is_cut: bool,
}

impl Repr {
    fn push(&mut self, text: &str) {
        if self.is_cut {
            return;
        }
        if self.written >= MAX_REPR {
            self.out.push_str(", ...");
            self.is_cut = true;
            return;
        }
        self.out.push_str(text);
        self.written += text.chars().count();
    }

    fn value(&mut self, value: &Json) {
        match value {
            Json::Null => self.short("None"),
            Json::Bool(true) => self.short("True"),
            Json::Bool(false) => self.short("False"),
            Json::Float(number) if number.is_nan() => self.short("nan"),
            Json::Float(number) if number.is_infinite() => {
                self.short(if *number > 0.0 { "inf" } else { "-inf" });
            }
            Json::Int(_) | Json::Float(_) => self.short(&value.to_string()),
            Json::String(text) => self.quoted(text),
            Json::Array(values) => self.list(values, ["[", "]"]),
            Json::Object(object) => self.dict(object),
        }
    }

    fn short(&mut self, text: &str) {
        let text = self.truncated(text);
        self.push(&text);
    }

    /// A text in single quotes. Celery escapes the quotes alone.
    fn quoted(&mut self, text: &str) {
        let text = self.truncated(text).replace('\'', "\\'");
        self.push(&format!("'{text}'"));
    }

    /// A text cut at the last space within the characters that are left.
    fn truncated<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let left = MAX_REPR.saturating_sub(self.written);
        if left == 0 || text.chars().nth(left - 1).is_none() {
            return Cow::Borrowed(text);
        }
        let end = text
            .char_indices()
            .nth(left)
            .map_or(text.len(), |(at, _)| at);
        let cut = &text[..end];
        let cut = cut.rfind(' ').map_or(cut, |space| &cut[..space]);
        Cow::Owned(format!("{cut}..."))
    }

    fn list(&mut self, values: &[Json], brackets: [&str; 2]) {
        self.inside(brackets, |repr| {
            for (at, value) in values.iter().enumerate() {
                repr.separate(at);
                repr.value(value);
                if repr.is_cut {
                    break;
                }
            }
        });
    }

    fn dict(&mut self, object: &Object) {
        self.inside(["{", "}"], |repr| {
            for (at, (key, value)) in object.iter().enumerate() {
                repr.separate(at);
                repr.quoted(key);
                repr.push(": ");
                repr.value(value);
                if repr.is_cut {
                    break;
                }
            }
        });
    }

    fn separate(&mut self, at: usize) {
        if at > 0 {
            self.push(", ");
        }
    }

    fn inside(&mut self, [open, close]: [&str; 2], write: impl FnOnce(&mut Repr)) {
        if self.level >= MAX_LEVELS {
            self.push(&format!("{open}...{close}"));
            return;
        }
        self.push(open);
        if self.is_cut {
            return;
        }
        self.level += 1;
        write(self);
        self.level -= 1;
        self.out.push_str(close);
        self.written += close.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celery::testing::{read, text as member};

    #[test]
    fn arguments_are_written_as_celery_writes_them() {
        let all = read("reprs.json");
        for one in all.as_array().unwrap() {
            let (value, expected) = (one.get("value").unwrap(), member(one, "repr"));
            let mine = match value {
                Json::Array(values) => args(values),
                Json::Object(object) => kwargs(object),
                _ => unreachable!("neither args nor kwargs"),
            };
            assert_eq!(mine, expected);
        }
    }

    #[test]
    fn texts_and_bytes_are_written_as_python_writes_them() {
        assert_eq!(text("it's"), r#""it's""#);
        assert_eq!(text("a'\"\\\n\u{1}\u{7f}é"), r#"'a\'"\\\n\x01\x7fé'"#);
        assert_eq!(bytes("it's é".as_bytes()), r#"b"it's \xc3\xa9""#);
        assert_eq!(bytes(b"'\"\\\t\r\n\0"), r#"b'\'"\\\t\r\n\x00'"#);
    }
}
