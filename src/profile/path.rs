//! The names of fields.
//!
//! `name`, `address.city`, `tags[]`, `orders[].total`. A key that could be mistaken for such
//! punctuation stands in quotes, as a JSON string: `"a.b".c`.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::distinct::hash_text;
use super::top::cut;
use crate::json::Json;

/// Longer keys (in bytes) are cut, with a hash that tells them apart.
const LONGEST_KEY: usize = 200;

/// The same for a whole path.
const LONGEST_PATH: usize = 400;

/// `key`, or what stands for it when it is too long to be kept.
pub(super) fn short_key(key: &str) -> Cow<'_, str> {
    shorten(key, LONGEST_KEY, 40)
}

/// The path of an array's items.
pub(super) fn items(parent: &str) -> String {
    shorten(&format!("{parent}[]"), LONGEST_PATH, 80).into_owned()
}

/// The path of an object's member; `parent` is empty for a record itself.
pub(super) fn member(parent: &str, key: &str) -> String {
    let mut path = parent.to_owned();
    if !parent.is_empty() {
        path.push('.');
    }
    let plain = |c: char| !matches!(c, '.' | '[' | ']' | '"' | '\\') && !c.is_control();
    if key.is_empty() || !key.chars().all(plain) {
        let _ = write!(path, "{}", Json::from(key));
    } else {
        path.push_str(key);
    }
    match shorten(&path, LONGEST_PATH, 80) {
        Cow::Owned(short) => short,
        Cow::Borrowed(_) => path,
    }
}

fn shorten(text: &str, longest: usize, characters: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    let start = cut(text, characters).unwrap_or_else(|| text.to_owned());
    Cow::Owned(format!("{start}#{:016x}", hash_text(text)))
}
