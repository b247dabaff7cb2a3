//! String literals: a fast search for their end, and their escapes.

use std::ops::Range;

/// The value of a string literal.
pub(super) enum Literal {
    /// A literal without escapes: the bytes between the quotes, as offsets.
    Plain(Range<usize>),
    /// The value of a literal with escapes.
    Unescaped(String),
}

impl Literal {
    /// The value, for a literal in `text`.
    pub fn into_string(self, text: &str) -> String {
        match self {
            Literal::Plain(place) => text.get(place).unwrap_or_default().to_owned(),
            Literal::Unescaped(value) => value,
        }
    }
}

/// A string literal, as read.
pub(super) struct Read {
    pub value: Literal,
    /// The offset in bytes after the closing quote.
    pub end: usize,
    pub lone_surrogates: bool,
}

/// The fault of a malformed literal: Python's message, and the offset in bytes.
#[derive(Debug)]
pub(super) struct Fault {
    pub message: &'static str,
    pub at: usize,
}

const BAD_UNICODE_ESCAPE: &str = "Invalid \\uXXXX escape";

/// The bytes between the quotes of the literal whose opening quote stands at `begin`; `None` for a
/// literal with escapes or a fault.
pub(super) fn plain_string(text: &str, begin: usize) -> Option<Range<usize>> {
    let start = begin + 1;
    let stop = find_special(text.as_bytes(), start);
    (text.as_bytes().get(stop) == Some(&b'"')).then_some(start..stop)
}

/// Reads the literal whose opening quote stands at `begin`, with escapes or a fault.
#[cold]
pub(super) fn read_string(text: &str, begin: usize) -> Result<Read, Fault> {
    let bytes = text.as_bytes();
    let unterminated = Fault {
        message: "Unterminated string starting at",
        at: begin,
    };
    let mut read = Read {
        value: Literal::Plain(0..0),
        end: begin + 1,
        lone_surrogates: false,
    };
    let mut value = String::new();
    loop {
        let stop = find_special(bytes, read.end);
        value.push_str(&text[read.end..stop]);
        match bytes.get(stop) {
            None => return Err(unterminated),
            Some(b'"') => {
                read.end = stop + 1;
                read.value = Literal::Unescaped(value);
                return Ok(read);
            }
            Some(b'\\') => {}
            Some(_) => {
                return Err(Fault {
                    message: "Invalid control character at",
                    at: stop,
                });
            }
        }
        match bytes.get(stop + 1) {
            None => return Err(unterminated),
            Some(b'u') => read_unicode_escape(bytes, stop, &mut value, &mut read)?,
            Some(byte) => {
                value.push(short_escape(*byte, stop)?);
                read.end = stop + 2;
            }
        }
    }
}

/// The character of an escape of two characters, whose backslash stands at `at`.
fn short_escape(byte: u8, at: usize) -> Result<char, Fault> {
    Ok(match byte {
        b'b' => '\u{8}',
        b'f' => '\u{C}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'"' | b'\\' | b'/' => char::from(byte),
        _ => {
            let message = "Invalid \\escape";
            return Err(Fault { message, at });
        }
    })
}

/// Reads `\uXXXX` at `at`, and the second escape of a surrogate pair.
fn read_unicode_escape(
    bytes: &[u8],
    at: usize,
    value: &mut String,
    read: &mut Read,
) -> Result<(), Fault> {
    let first = four_hex_digits(bytes, at)?;
    read.end = at + 6;
    if let Some(character) = char::from_u32(first) {
        value.push(character);
        return Ok(());
    }
    if first < 0xDC00 && bytes[read.end..].starts_with(b"\\u") {
        let second = four_hex_digits(bytes, read.end)?;
        if (0xDC00..0xE000).contains(&second) {
            let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            value.extend(char::from_u32(joined));
            read.end += 6;
            return Ok(());
        }
    }
    read.lone_surrogates = true;
    value.push(char::REPLACEMENT_CHARACTER);
    Ok(())
}

/// The value of the escape whose backslash stands at `at`. As in Python, another character must follow
/// the digits.
fn four_hex_digits(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    let fault = Fault {
        message: BAD_UNICODE_ESCAPE,
        at: at + 1,
    };
    let Some(&[a, b, c, d, _]) = bytes.get(at + 2..at + 7) else {
        return Err(fault);
    };
    let mut value = 0;
    for digit in [a, b, c, d] {
        match char::from(digit).to_digit(16) {
            Some(digit) => value = value * 16 + digit,
            None => return Err(fault),
        }
    }
    Ok(value)
}

/// The offset of the first quote, backslash or control character from `from` on, or the length.
///
/// The search reads words of eight bytes. A subtraction sets the high bit of each byte that matches
/// (`x - 1` borrows for zero, `x - 0x20` borrows for control characters; bytes beyond ASCII are masked
/// out). A borrow can also set the high bit of bytes above a match, never below, so the lowest set bit
/// is a match.
fn find_special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let mut at = from;
    let (words, rest) = bytes.get(from..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
        let found = (below(quote, 1) | below(backslash, 1) | below(word, 0x20)) & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    at + rest.iter().position(special).unwrap_or(rest.len())
}

/// Appends `text` as a literal to `out`. Quotes, backslashes and control characters are escaped, as in
/// Python with `ensure_ascii=False`; characters beyond ASCII are not.
pub(super) fn push_string(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut written = 0;
    out.reserve(text.len() + 2);
    out.push('"');
    loop {
        let stop = find_special(bytes, written);
        out.push_str(&text[written..stop]);
        let Some(&byte) = bytes.get(stop) else { break };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0C => out.push_str("\\f"),
            _ => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        written = stop + 1;
    }
    out.push('"');
}
