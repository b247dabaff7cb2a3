//! A document as a list of its parts, for reading many documents one after the other. The list is
//! reused and texts are not copied, so a value needs no allocation.

use super::parse::{ParseError, Parser, Scalar, Sink, check_start};
use super::string::Literal;
use super::tree::Tree;
use super::{Int, Json};

/// The parts of a document. The caller keeps the document's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    parts: Vec<Part>,
    /// Texts that differ from the document, such as strings without their escapes.
    own: String,
    /// The open arrays and objects: the index of each in `parts`, and the number of its values so far.
    open: Vec<(usize, usize)>,
    lone_surrogates: bool,
}

/// A scalar, a key, or the beginning or end of an array or object. The values of an array or object
/// stand between its beginning and its `End`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Null,
    Bool(bool),
    Int(i64),
    /// The decimal text of an integer beyond `i64`.
    BigInt(Span),
    Float(f64),
    String(Span),
    /// The beginning of an array, with the number of its values.
    Array(usize),
    /// The beginning of an object, with the number of its members, each a `Key` and a value. A key may
    /// occur twice.
    Object(usize),
    Key(Span),
    End,
}

/// A piece of text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
    /// Whether the span is a piece of [`Flat::own`], not of the document.
    is_own: bool,
}

impl Span {
    /// A piece of the document.
    #[inline(always)]
    fn new(start: usize, end: usize) -> Span {
        let is_own = false;
        let [start, end] = [start, end].map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        Span { start, end, is_own }
    }
}

impl Flat {
    /// Reads a document in place of the previous document, as [`parse_str`](super::parse_str) does, but
    /// replaces lone surrogates by U+FFFD.
    ///
    /// # Errors
    ///
    /// As [`parse_str`](super::parse_str), and for a text longer than 4 GiB.
    pub fn read(&mut self, text: &str) -> Result<(), ParseError> {
        self.parts.clear();
        self.own.clear();
        self.open.clear();
        check_start(text)?;
        if u32::try_from(text.len()).is_err() {
            let reason = "longer than 4 GiB";
            return Err(ParseError::Unreadable { reason });
        }
        let mut parser = Parser::new(text);
        parser.document(self)?;
        self.lone_surrogates = parser.lone_surrogates;
        Ok(())
    }

    /// Whether the document has a lone surrogate.
    pub fn has_lone_surrogates(&self) -> bool {
        self.lone_surrogates
    }

    /// The parts in the order of the document.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text of a span. `text` is the document.
    pub fn text<'t>(&'t self, span: Span, text: &'t str) -> &'t str {
        let from = if span.is_own { &self.own } else { text };
        from.get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// The integer of a [`Part::BigInt`].
    pub fn big_int(&self, span: Span, text: &str) -> Int {
        Int::from_decimal(self.text(span, text)).unwrap_or_else(|| Int::from(0))
    }

    /// The document `text` as one value. A repeated key keeps its first place and its last value.
    pub fn to_json(&self, text: &str) -> Json {
        let mut tree = Tree::new("");
        let literal = |span| Literal::Unescaped(self.text(span, text).to_owned());
        for part in &self.parts {
            match *part {
                Part::Null => tree.scalar(Scalar::Null),
                Part::Bool(value) => tree.scalar(Scalar::Bool(value)),
                Part::Int(int) => tree.scalar(Scalar::Int(int.into())),
                Part::BigInt(span) => tree.scalar(Scalar::Int(self.big_int(span, text))),
                Part::Float(number) => tree.scalar(Scalar::Float(number)),
                Part::String(span) => tree.scalar(Scalar::String(literal(span))),
                Part::Array(_) => tree.begin_array(),
                Part::Object(_) => tree.begin_object(),
                Part::Key(span) => tree.key(literal(span)),
                Part::End => tree.end(),
            }
        }
        tree.value()
    }

    #[inline(always)]
    fn span(&mut self, literal: Literal) -> Span {
        match literal {
            Literal::Plain(place) => Span::new(place.start, place.end),
            Literal::Unescaped(value) => self.keep(&value),
        }
    }

    /// Stores a text that differs from the document.
    fn keep(&mut self, text: &str) -> Span {
        let start = self.own.len();
        self.own.push_str(text);
        Span {
            is_own: true,
            ..Span::new(start, self.own.len())
        }
    }

    #[inline(always)]
    fn push(&mut self, part: Part) {
        if let Some((_, count)) = self.open.last_mut() {
            *count += 1;
        }
        self.parts.push(part);
    }

    #[inline(always)]
    fn part(&mut self, value: Scalar) -> Part {
        match value {
            Scalar::Null => Part::Null,
            Scalar::Bool(value) => Part::Bool(value),
            Scalar::Int(int) => match int.as_i64() {
                Some(small) => Part::Int(small),
                None => Part::BigInt(self.keep(&int.to_string())),
            },
            Scalar::Float(number) => Part::Float(number),
            Scalar::String(literal) => Part::String(self.span(literal)),
        }
    }
}

impl Sink for Flat {
    #[inline(always)]
    fn scalar(&mut self, value: Scalar) {
        let part = self.part(value);
        self.push(part);
    }

    fn begin_array(&mut self) {
        self.push(Part::Array(0));
        self.open.push((self.parts.len() - 1, 0));
    }

    fn begin_object(&mut self) {
        self.push(Part::Object(0));
        self.open.push((self.parts.len() - 1, 0));
    }

    #[inline(always)]
    fn key(&mut self, literal: Literal) {
        let key = Part::Key(self.span(literal));
        self.parts.push(key);
    }

    fn end(&mut self) {
        self.parts.push(Part::End);
        if let Some((at, count)) = self.open.pop()
            && let Some(begin) = self.parts.get_mut(at)
        {
            *begin = match begin {
                Part::Array(_) => Part::Array(count),
                _ => Part::Object(count),
            };
        }
    }
}
