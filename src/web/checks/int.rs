//! Parses integers in paths and queries as Pydantic does.
//!
//! An integer may have a sign, leading zeros, single underscores between digits, white space around, and
//! a fraction of zeros only: `007`, `+5`, `1_000`, ` 5 `, `1.0`.

use std::borrow::Cow;

use crate::json::Int;

/// Python's limit on the digits of an integer in a text (`sys.int_info`).
const MAX_DIGITS: usize = 4_300;

/// Why a text is not an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnInt {
    /// The text is not of an integer's form.
    Unparsable,
    /// The text is an integer of more than [`MAX_DIGITS`] digits.
    TooLong,
}

impl NotAnInt {
    /// Pydantic's `type` and `msg`.
    pub fn type_and_message(self) -> (&'static str, &'static str) {
        match self {
            NotAnInt::Unparsable => (
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            ),
            NotAnInt::TooLong => (
                "int_parsing_size",
                "Unable to parse input string as an integer, exceeded maximum size",
            ),
        }
    }
}

/// Parses an integer of at most [`MAX_DIGITS`] digits.
pub fn parse(text: &str) -> Result<Int, NotAnInt> {
    match is_too_long(text) {
        true => Err(NotAnInt::TooLong),
        false => read(text).ok_or(NotAnInt::Unparsable),
    }
}

/// Whether Pydantic's error is `int_parsing_size`. Pydantic first parses the text as a JSON number, and
/// fails with that error after too many digits, whatever follows. Other forms, such as `+5`, ` 5 `, `05`
/// and `5_0`, are cleaned and parsed a second time. The second parser always fails with `int_parsing`.
fn is_too_long(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    count > MAX_DIGITS && !digits.starts_with('0')
}

fn read(text: &str) -> Option<Int> {
    let text = whole_part(text.trim());
    let (minus, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    // Only leading zeros and underscores are cut. A text with an underscore at its end is an error.
    let significant = match unsigned.strip_prefix('0') {
        Some(rest) if !rest.ends_with('_') => rest.trim_start_matches(['0', '_']),
        _ => unsigned,
    };
    let has_zeros = significant.len() < unsigned.len();
    if has_zeros && significant.is_empty() {
        return Some(0.into());
    }
    let digits = without_underscores(significant)?;
    // An oddity of Pydantic: a minus may follow leading zeros, and no further zero may follow the minus.
    let (minus, digits) = match digits.strip_prefix('-') {
        Some(digits) if has_zeros && !minus => (true, Some(digits).filter(|d| is_canonical(d))?),
        _ => (minus, &*digits),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > MAX_DIGITS {
        return None;
    }
    let sign = if minus { "-" } else { "" };
    Int::from_decimal(&format!("{sign}{digits}"))
}

fn is_canonical(digits: &str) -> bool {
    digits == "0" || !digits.starts_with('0')
}

/// Cuts a fraction of zeros only. A point without digits is not a fraction.
fn whole_part(digits: &str) -> &str {
    match digits.split_once('.') {
        Some((whole, fraction))
            if !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        _ => digits,
    }
}

fn without_underscores(digits: &str) -> Option<Cow<'_, str>> {
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    Some(match digits.contains('_') {
        true => digits.replace('_', "").into(),
        false => digits.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_pydantic_accepts_are_accepted() {
        let cases = [
            ("5", "5"),
            ("007", "7"),
            ("+5", "5"),
            ("-5", "-5"),
            ("-0", "0"),
            ("1_000", "1000"),
            (" 5 ", "5"),
            ("1.0", "1"),
            ("-1.00", "-1"),
            ("0_0", "0"),
            ("0__5", "5"),
            ("-0_5", "-5"),
            ("0-5", "-5"),
            ("+00-_50.0", "-50"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse(text).map(|int| int.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        assert!(parse(&"9".repeat(4_300)).is_ok());
    }

    #[test]
    fn texts_that_pydantic_refuses_are_refused() {
        for text in [
            "", " ", "0_", "0-05", "-0-5", "0+5", "0--5", "-_5", "foo", "1.5", "1e3", "true", "+",
            "--5", "1__0", "_1", "1_", "٣", ".0", "1.",
        ] {
            assert_eq!(parse(text), Err(NotAnInt::Unparsable), "{text}");
        }
    }

    #[test]
    fn too_many_digits_are_refused_with_the_error_of_pydantic() {
        use NotAnInt::{TooLong, Unparsable};
        // The text before and after the digits, the most digits that are accepted, and the error for one
        // more digit.
        for (before, after, most, refused) in [
            ("", "", 4_300, TooLong),
            ("-", "", 4_300, TooLong),
            ("", ".0", 4_300, TooLong),
            ("", " ", 4_300, TooLong),
            ("", "0", 4_299, TooLong),
            ("+", "", 4_300, Unparsable),
            (" ", "", 4_300, Unparsable),
            (" -", "", 4_300, Unparsable),
            ("\u{a0}", "", 4_300, Unparsable),
            ("0", "", 4_300, Unparsable),
            ("-0", "", 4_300, Unparsable),
            ("0-", "", 4_300, Unparsable),
            ("00_", "", 4_300, Unparsable),
            ("1_", "", 4_299, Unparsable),
            ("", "_1", 4_299, Unparsable),
            ("+", ".0", 4_300, Unparsable),
        ] {
            let text = |count: usize| format!("{before}{}{after}", "9".repeat(count));
            assert!(parse(&text(most)).is_ok(), "{before:?} {after:?}");
            assert_eq!(parse(&text(most + 1)), Err(refused), "{before:?} {after:?}");
        }
        for after in [
            "a", ".", ".5", "e5", "_", "__1", "_1", "-", "+1", "\u{663}", "\0",
        ] {
            for before in ["", "-"] {
                let text = |count: usize| format!("{before}{}{after}", "9".repeat(count));
                assert_eq!(parse(&text(4_301)), Err(TooLong), "{before:?} {after:?}");
                assert_eq!(parse(&text(4_300)), Err(Unparsable), "{before:?} {after:?}");
            }
            for before in ["+", " ", "0", "1_", "--", "_"] {
                let text = format!("{before}{}{after}", "9".repeat(4_301));
                assert_eq!(parse(&text), Err(Unparsable), "{before:?} {after:?}");
            }
        }
    }
}
