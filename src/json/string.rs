//! String literals: finding their end fast, and undoing escapes.

use std::ops::Range;

/// What a string literal stands for.
pub(super) enum Literal {
    /// What stands between the quotes, as offsets in bytes.
    Plain(Range<usize>),
    /// A literal with escapes, undone.
    Unescaped(String),
}

impl Literal {
    /// The value of a literal of `text`.
    pub fn into_string(self, text: &str) -> String {
        match self {
            Literal::Plain(place) => text.get(place).unwrap_or_default().to_owned(),
            Literal::Unescaped(value) => value,
        }
    }
}

/// A string literal that was read.
pub(super) struct Read {
    pub value: Literal,
    /// The offset in bytes after the closing quote.
    pub end: usize,
    pub lone_surrogates: bool,
}

/// A malformed literal: Python's word for it, and the offset in bytes.
#[derive(Debug)]
pub(super) struct Fault {
    pub message: &'static str,
    pub at: usize,
}

const BAD_UNICODE_ESCAPE: &str = "Invalid \\uXXXX escape";

/// What stands in the literal whose opening quote stands at `begin`, where that has no escapes.
pub(super) fn plain_string(text: &str, begin: usize) -> Option<Range<usize>> {
    let start = begin + 1;
    let stop = find_special(text.as_bytes(), start);
    (text.as_bytes().get(stop) == Some(&b'"')).then_some(start..stop)
}

/// Reads the literal whose opening quote stands at `begin`, with escapes or a fault inside.
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
        let plain = match bytes.get(stop + 1) {
            None => return Err(unterminated),
            Some(b'u') => {
                read_unicode_escape(bytes, stop, &mut value, &mut read)?;
                continue;
            }
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(*same),
            Some(_) => {
                return Err(Fault {
                    message: "Invalid \\escape",
                    at: stop,
                });
            }
        };
        value.push(plain);
        read.end = stop + 2;
    }
}

/// Reads `\uXXXX` at `at`, with the second half of a pair when one follows.
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

/// The value of the escape whose backslash stands at `at`. Like Python's, it wants one more
/// character after the digits.
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
/// Eight bytes at a time: in each word, a byte's high bit is set where the byte is one of them
/// (`x - 1` borrows from zero, `x - 0x20` from control characters; bytes beyond ASCII are masked
/// out). A borrow can mark bytes above a true one, never below, and the lowest one is taken.
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

/// Writes `text` as a literal at the end of `out`. Characters beyond ASCII stay as they are;
/// quote, backslash and control characters are escaped as Python's `ensure_ascii=False` does.
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
