//! Decodes bytes to text, as `json.loads` does before it parses.
//!
//! Python guesses UTF-8, UTF-16 or UTF-32 from the first bytes and decodes with `surrogatepass`, so
//! its strings may hold lone surrogates. A Rust string cannot hold lone surrogates. Each is replaced by
//! U+FFFD: the replacement is one character long too, and is an error outside of a string too, so
//! positions and errors stay the same. [`Text::lone_surrogates`] reports a replacement to the parser.

use std::borrow::Cow;

/// Decoded text with positions as in Python's `str`.
pub(super) struct Text<'a> {
    pub text: Cow<'a, str>,
    pub lone_surrogates: bool,
}

/// Decodes as `bytes.decode(json.detect_encoding(bytes), "surrogatepass")`; `None` if Python raises
/// `UnicodeDecodeError`.
pub(super) fn decode(bytes: &[u8]) -> Option<Text<'_>> {
    match *bytes {
        // The order matters: UTF-32's little-endian mark begins with UTF-16's.
        [0, 0, 0xFE, 0xFF, ref rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, ref rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0xFE, 0xFF, ref rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, ref rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, ref rest @ ..] => utf8(rest),
        // Without a byte order mark, the zero bytes in the first (ASCII) characters decide.
        [0, 0, _, _, ..] => utf32(bytes, u32::from_be_bytes),
        [0, _, _, _, ..] | [0, _] => utf16(bytes, u16::from_be_bytes),
        [_, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [_, 0, _, _, ..] | [_, 0] => utf16(bytes, u16::from_le_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Option<Text<'_>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Text {
            text: Cow::Borrowed(text),
            lone_surrogates: false,
        }),
        Err(error) => utf8_with_surrogates(bytes, error.valid_up_to()),
    }
}

/// Overwrites encoded surrogates (`ED A0 80` to `ED BF BF`) with U+FFFD, which has three bytes too.
fn utf8_with_surrogates(bytes: &[u8], mut valid: usize) -> Option<Text<'_>> {
    let mut bytes = bytes.to_vec();
    loop {
        match bytes.get(valid..valid + 3)? {
            [0xED, 0xA0..=0xBF, 0x80..=0xBF] => {}
            _ => return None,
        }
        bytes[valid..valid + 3].copy_from_slice("\u{FFFD}".as_bytes());
        match std::str::from_utf8(&bytes[valid..]) {
            Ok(_) => break,
            Err(error) => valid += error.valid_up_to(),
        }
    }
    let text = Cow::Owned(String::from_utf8(bytes).ok()?);
    Some(Text {
        text,
        lone_surrogates: true,
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Text<'static>> {
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let mut lone_surrogates = false;
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|decoded| {
            decoded.unwrap_or_else(|_| {
                lone_surrogates = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    Some(Text {
        text,
        lone_surrogates,
    })
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<Text<'static>> {
    let (fours, []) = bytes.as_chunks::<4>() else {
        return None;
    };
    let mut lone_surrogates = false;
    let text = fours
        .iter()
        .map(|four| match unit(*four) {
            0xD800..=0xDFFF => {
                lone_surrogates = true;
                Some(char::REPLACEMENT_CHARACTER)
            }
            point => char::from_u32(point),
        })
        .collect::<Option<String>>()?;
    Some(Text {
        text: Cow::Owned(text),
        lone_surrogates,
    })
}
