//! Integers in paths and queries, as Pydantic reads them from text.
//!
//! Accepted are a sign, leading zeros, single underscores between digits, white space around and a
//! fraction of nothing but zeros: `007`, `+5`, `1_000`, ` 5 `, `1.0`.

use std::borrow::Cow;

use crate::json::Int;

/// Python's limit on the digits of an integer read from text (`sys.int_info`).
const MAX_DIGITS: usize = 4_300;

/// Why a text is not an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAnInt {
    /// It is something else.
    Unparsable,
    /// It is one, of more digits than Python reads.
    TooLong,
}

impl NotAnInt {
    /// Pydantic's `type` and `msg`.
    pub fn words(self) -> (&'static str, &'static str) {
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

/// Reads an integer of any size.
pub fn parse(text: &str) -> Result<Int, NotAnInt> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = without_underscores(whole_part(digits))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotAnInt::Unparsable);
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > MAX_DIGITS {
        return Err(NotAnInt::TooLong);
    }
    let canonical = match (digits, negative) {
        ("", _) => "0".to_owned(),
        (digits, true) => format!("-{digits}"),
        (digits, false) => digits.to_owned(),
    };
    Int::from_decimal(&canonical).ok_or(NotAnInt::Unparsable)
}

/// Cuts a fraction that is all zeros; a point with nothing behind it is none.
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

fn without_underscores(digits: &str) -> Result<Cow<'_, str>, NotAnInt> {
    if !digits.contains('_') {
        return Ok(digits.into());
    }
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return Err(NotAnInt::Unparsable);
    }
    Ok(digits.replace('_', "").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_pydantic_accepts() {
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
    fn refuses_what_pydantic_refuses() {
        for text in [
            "", " ", "foo", "1.5", "1e3", "true", "+", "--5", "1__0", "_1", "1_", "٣", ".0", "1.",
        ] {
            assert_eq!(parse(text), Err(NotAnInt::Unparsable), "{text}");
        }
        assert_eq!(parse(&"9".repeat(4_301)), Err(NotAnInt::TooLong));
    }
}
