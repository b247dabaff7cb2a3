//! The decoder: the grammar, messages and positions of CPython 3.11's `json.loads`.
//!
//! The parser sends the parts of a document to a [`Sink`], which builds a value. The parser is not
//! recursive, so a deeply nested text cannot exhaust the thread's stack.

use super::decode::{Text, decode};
use super::nesting::Nesting;
use super::string::{Fault, Literal, plain_string, read_string};
use super::tree::{Tree, has_replacement};
use super::{Int, Json};

/// How deep arrays and objects may nest.
///
/// Python raises `RecursionError` at 1,000 frames, the callers' frames included. Uvicorn, Starlette
/// and FastAPI leave 960 frames.
pub const MAX_DEPTH: usize = 960;

/// The most digits of an integer: Python's `sys.int_info.default_max_str_digits`.
pub const MAX_INT_DIGITS: usize = 4300;

/// Why a text is not JSON: one variant for each kind of answer of the Python service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Python's `json.JSONDecodeError`.
    #[error("{message}: character {position}")]
    Syntax {
        /// `JSONDecodeError.msg`
        message: &'static str,
        /// `JSONDecodeError.pos`: the offset in characters (not bytes), from 0.
        position: usize,
    },
    /// Other exceptions of `json.loads`: bytes that are no text (`UnicodeDecodeError`), too deep a
    /// nesting (`RecursionError`), an integer of too many digits (`ValueError`).
    #[error("{reason}")]
    Unreadable {
        /// One sentence for people.
        reason: &'static str,
    },
    /// A string holds a lone surrogate, such as `"\ud800"`. Python reads the string, and fails when it
    /// encodes the value as UTF-8. A Rust string cannot hold a lone surrogate. [`parse_lossy`]
    /// replaces lone surrogates.
    #[error("a string holds a surrogate without its other half")]
    LoneSurrogate,
}

/// Reads one JSON document, as `json.loads(bytes)` does: in UTF-8, UTF-16 or UTF-32, with or
/// without a byte order mark; `NaN`, `Infinity` and `-Infinity` are numbers.
///
/// # Errors
///
/// [`ParseError`] names Python's error. As in Python, the first fault in the text counts; a lone
/// surrogate counts only if the text is well-formed.
pub fn parse(bytes: &[u8]) -> Result<Json, ParseError> {
    parse_lossy(bytes).and_then(whole)
}

/// As [`parse`], but replaces lone surrogates by U+FFFD. The flag tells whether the value holds a
/// replacement.
///
/// # Errors
///
/// As [`parse`], without [`ParseError::LoneSurrogate`].
pub fn parse_lossy(bytes: &[u8]) -> Result<(Json, bool), ParseError> {
    let Text {
        text,
        lone_surrogates,
    } = decode(bytes).ok_or(ParseError::Unreadable {
        reason: "the bytes are not Unicode text",
    })?;
    let mut parser = Parser::new(&text);
    parser.lone_surrogates = lone_surrogates;
    parser.tree()
}

/// Reads one JSON document from text, as `json.loads(str)` does.
///
/// # Errors
///
/// As [`parse`], and Python's error for a text that begins with a byte order mark.
pub fn parse_str(text: &str) -> Result<Json, ParseError> {
    check_start(text)?;
    Parser::new(text).tree().and_then(whole)
}

/// Refuses a byte order mark: the mark belongs to encoded bytes, not to text.
pub(super) fn check_start(text: &str) -> Result<(), ParseError> {
    if text.starts_with('\u{FEFF}') {
        let message = "Unexpected UTF-8 BOM (decode using utf-8-sig)";
        return Err(ParseError::Syntax {
            message,
            position: 0,
        });
    }
    Ok(())
}

/// The value, unless it holds a replaced lone surrogate.
fn whole((value, lone_surrogates): (Json, bool)) -> Result<Json, ParseError> {
    match lone_surrogates {
        true => Err(ParseError::LoneSurrogate),
        false => Ok(value),
    }
}

/// Receives the parts of a document in order.
pub(super) trait Sink {
    fn scalar(&mut self, value: Scalar);
    fn begin_array(&mut self);
    fn begin_object(&mut self);
    /// The key of the member whose value comes next.
    fn key(&mut self, key: Literal);
    /// The innermost array or object has ended.
    fn end(&mut self);
}

/// A value that contains no others.
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(Int),
    Float(f64),
    String(Literal),
}

pub(super) struct Parser<'a> {
    text: &'a str,
    /// The offset of the next byte to read.
    at: usize,
    /// Whether the text read so far has a lone surrogate.
    pub lone_surrogates: bool,
    open: Nesting,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Parser<'a> {
        Parser {
            text,
            at: 0,
            lone_surrogates: false,
            open: Nesting::default(),
        }
    }

    /// Reads the whole document as one value.
    fn tree(mut self) -> Result<(Json, bool), ParseError> {
        let mut tree = Tree::new(self.text);
        self.document(&mut tree)?;
        let value = tree.value();
        let lone_surrogates = self.lone_surrogates && has_replacement(&value);
        Ok((value, lone_surrogates))
    }

    pub fn document(&mut self, sink: &mut impl Sink) -> Result<(), ParseError> {
        self.skip_space();
        self.value(sink)?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.syntax("Extra data"));
        }
        Ok(())
    }

    fn value(&mut self, sink: &mut impl Sink) -> Result<(), ParseError> {
        loop {
            let has_ended = match self.peek() {
                Some(b'[') => self.begin_array(sink)?,
                Some(b'{') => self.begin_object(sink)?,
                _ => {
                    sink.scalar(self.scalar()?);
                    true
                }
            };
            if has_ended && self.end(sink)? {
                return Ok(());
            }
        }
    }

    /// Reads `[`; returns whether the array is empty.
    fn begin_array(&mut self, sink: &mut impl Sink) -> Result<bool, ParseError> {
        self.check_depth()?;
        sink.begin_array();
        self.at += 1;
        self.skip_space();
        if self.take(b']') {
            sink.end();
            return Ok(true);
        }
        self.open.push(false);
        Ok(false)
    }

    /// Reads `{` and the first key; returns whether the object is empty.
    fn begin_object(&mut self, sink: &mut impl Sink) -> Result<bool, ParseError> {
        self.check_depth()?;
        sink.begin_object();
        self.at += 1;
        self.skip_space();
        if self.take(b'}') {
            sink.end();
            return Ok(true);
        }
        sink.key(self.key()?);
        self.open.push(true);
        Ok(false)
    }

    fn check_depth(&self) -> Result<(), ParseError> {
        if self.open.depth() < MAX_DEPTH {
            return Ok(());
        }
        Err(ParseError::Unreadable {
            reason: "arrays and objects are nested too deep",
        })
    }

    /// Reads the ends of containers after a value, up to the next value. Returns whether the outermost
    /// value has ended.
    fn end(&mut self, sink: &mut impl Sink) -> Result<bool, ParseError> {
        while let Some(is_object) = self.open.innermost() {
            self.skip_space();
            if !self.take(if is_object { b'}' } else { b']' }) {
                self.comma()?;
                if is_object {
                    sink.key(self.key()?);
                }
                return Ok(false);
            }
            sink.end();
            self.open.pop();
        }
        Ok(true)
    }

    /// Reads a comma and the space after it.
    fn comma(&mut self) -> Result<(), ParseError> {
        if !self.take(b',') {
            return Err(self.syntax("Expecting ',' delimiter"));
        }
        self.skip_space();
        Ok(())
    }

    /// Reads a key, its colon and the space after the colon.
    #[inline(always)]
    fn key(&mut self) -> Result<Literal, ParseError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("Expecting property name enclosed in double quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if !self.take(b':') {
            return Err(self.syntax("Expecting ':' delimiter"));
        }
        self.skip_space();
        Ok(key)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Literal, ParseError> {
        match plain_string(self.text, self.at) {
            Some(place) => {
                self.at = place.end + 1;
                Ok(Literal::Plain(place))
            }
            None => self.escaped_string(),
        }
    }

    fn escaped_string(&mut self) -> Result<Literal, ParseError> {
        match read_string(self.text, self.at) {
            Ok(read) => {
                self.at = read.end;
                self.lone_surrogates |= read.lone_surrogates;
                Ok(read.value)
            }
            Err(Fault { message, at }) => {
                self.at = at;
                Err(self.syntax(message))
            }
        }
    }

    fn scalar(&mut self) -> Result<Scalar, ParseError> {
        match self.peek() {
            Some(b'"') => Ok(Scalar::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Scalar::Null),
            Some(b't') => self.word("true", Scalar::Bool(true)),
            Some(b'f') => self.word("false", Scalar::Bool(false)),
            Some(b'N') => self.word("NaN", Scalar::Float(f64::NAN)),
            Some(b'I') => self.word("Infinity", Scalar::Float(f64::INFINITY)),
            _ => Err(self.no_value()),
        }
    }

    fn word(&mut self, word: &str, value: Scalar) -> Result<Scalar, ParseError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.no_value());
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Scalar, ParseError> {
        let start = self.at;
        let negative = self.take(b'-');
        let whole = self.at;
        match self.peek() {
            Some(b'1'..=b'9') => self.skip_digits(),
            Some(b'0') => self.at += 1,
            _ => {
                self.at = start;
                return self.word("-Infinity", Scalar::Float(f64::NEG_INFINITY));
            }
        }
        let digits = self.at - whole;
        if self.fraction() | self.exponent() {
            // The grammar was checked, so this cannot fail. A number beyond the range of doubles is
            // infinite, as in Python.
            let number = self.text[start..self.at].parse();
            return number.map(Scalar::Float).map_err(|_| self.no_value());
        }
        if digits < 19 {
            let digits = &self.text.as_bytes()[whole..self.at];
            return Ok(Scalar::Int(small(negative, digits).into()));
        }
        if digits > MAX_INT_DIGITS {
            return Err(ParseError::Unreadable {
                reason: "an integer has too many digits",
            });
        }
        let int = Int::from_decimal(&self.text[start..self.at]);
        int.map(Scalar::Int).ok_or_else(|| self.no_value())
    }

    /// Reads a fraction, if any. A dot without a digit is not read.
    fn fraction(&mut self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let found = matches!(rest, [b'.', b'0'..=b'9', ..]);
        if found {
            self.at += 2;
            self.skip_digits();
        }
        found
    }

    /// Reads an exponent, if any.
    fn exponent(&mut self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let mark = match rest {
            [b'e' | b'E', b'+' | b'-', b'0'..=b'9', ..] => 2,
            [b'e' | b'E', b'0'..=b'9', ..] => 1,
            _ => return false,
        };
        self.at += mark;
        self.skip_digits();
        true
    }

    fn skip_digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn no_value(&self) -> ParseError {
        self.syntax("Expecting value")
    }

    /// A syntax error at the current offset, converted from bytes to characters.
    fn syntax(&self, message: &'static str) -> ParseError {
        let before = self.text.as_bytes()[..self.at].iter();
        let position = before.filter(|byte| !(0x80..0xC0).contains(*byte)).count();
        ParseError::Syntax { message, position }
    }
}

/// The value of at most 18 digits.
fn small(negative: bool, digits: &[u8]) -> i64 {
    let magnitude = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    if negative { -magnitude } else { magnitude }
}
