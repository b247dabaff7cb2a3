//! JSON Lines, and JSON text sequences (RFC 7464).

use super::error::Tally;
use super::rows::LineEnds;
use super::{Form, Record, SourceError};
use crate::json::Flat;

/// What stands before each record of a sequence.
pub(super) const SEPARATOR: u8 = 0x1E;

#[derive(Debug)]
pub(super) struct Lines {
    /// Whether records begin with [`SEPARATOR`], and do not end with their line.
    is_sequence: bool,
    encoding: &'static str,
    limit: usize,
    /// The beginning of the record that the last chunk did not end.
    part: Vec<u8>,
    /// Whether the record is too long already, so that the rest of it is passed over.
    skipping: bool,
    /// The line of the current record, from 1.
    line: u64,
    /// The lines that have ended in a record of a sequence.
    ends: LineEnds,
    /// Whether the byte before is a `\r`, so that a `\n` belongs to it.
    after_return: bool,
    /// Records with half a surrogate pair.
    halves: u64,
    /// Room for a record.
    flat: Flat,
    pub tally: Tally,
}

type Each<'e> = dyn FnMut(Record<'_>) + 'e;

impl Lines {
    pub fn new(is_sequence: bool, limit: usize, encoding: &'static str) -> Lines {
        Lines {
            is_sequence,
            encoding,
            limit,
            part: Vec::new(),
            skipping: false,
            line: 1,
            ends: LineEnds::default(),
            after_return: false,
            halves: 0,
            flat: Flat::default(),
            tally: Tally::default(),
        }
    }

    pub fn set_encoding(&mut self, encoding: &'static str) {
        self.encoding = encoding;
    }

    /// The line that is read.
    pub fn line(&self) -> u64 {
        self.line + self.ends.count
    }

    pub fn feed(&mut self, chunk: &[u8], each: &mut Each<'_>) {
        let valid = match std::str::from_utf8(chunk) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&chunk[..error.valid_up_to()]).unwrap_or_default(),
        };
        let mut start = 0;
        if self.is_sequence {
            for end in memchr::memchr_iter(SEPARATOR, chunk) {
                self.end_record(&chunk[start..end], valid.get(start..end), each);
                start = end + 1;
            }
        } else {
            for end in memchr::memchr2_iter(b'\n', b'\r', chunk) {
                let byte = chunk.get(end).copied().unwrap_or_default();
                let is_second_half = start == end && byte == b'\n' && self.after_return;
                if is_second_half {
                    self.line -= 1;
                }
                self.end_record(&chunk[start..end], valid.get(start..end), each);
                self.after_return = byte == b'\r';
                start = end + 1;
            }
        }
        self.keep(&chunk[start..]);
    }

    /// The file has ended.
    pub fn finish(&mut self, each: &mut Each<'_>) -> Result<(), SourceError> {
        self.end_record(&[], Some(""), each);
        self.tally.check(SourceError::UnknownFormat)
    }

    /// What is to be told of the records.
    pub fn notes(&self) -> Option<String> {
        let halves = self.halves;
        (halves > 0).then(|| {
            format!("records with half of a surrogate pair: {halves}; U+FFFD stands in its place")
        })
    }

    fn keep(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        self.after_return = false;
        if self.is_sequence {
            self.ends.pass_all(piece);
        }
        if self.skipping || self.part.len() + piece.len() > self.limit {
            self.skipping = true;
            self.part = Vec::new();
        } else {
            self.part.extend_from_slice(piece);
        }
    }

    fn end_record(&mut self, piece: &[u8], text: Option<&str>, each: &mut Each<'_>) {
        if self.part.is_empty() && !self.skipping && piece.len() <= self.limit {
            if self.is_sequence {
                self.ends.pass_all(piece);
            }
            self.read(piece, text, each);
        } else {
            self.keep(piece);
            let mut record = std::mem::take(&mut self.part);
            if std::mem::take(&mut self.skipping) {
                let error = format!("longer than {} bytes", self.limit);
                self.tally.add(self.line, 1, error);
            } else {
                self.read(&record, None, each);
                record.clear();
                self.part = record;
            }
        }
        self.line += match self.is_sequence {
            true => std::mem::take(&mut self.ends).count,
            false => 1,
        };
    }

    fn read(&mut self, record: &[u8], text: Option<&str>, each: &mut Each<'_>) {
        if record.trim_ascii().is_empty() {
            return;
        }
        let Some(text) = text.or_else(|| std::str::from_utf8(record).ok()) else {
            return self.tally.add_not_text(self.line, self.encoding);
        };
        if self.is_sequence && is_cut_off(text) {
            return self
                .tally
                .add(self.line, 1, "cut off: no end of line follows");
        }
        match self.flat.read(text) {
            Ok(()) => {
                self.tally.records += 1;
                self.halves += u64::from(self.flat.has_lone_surrogates());
                each(Record(Form::Flat(&self.flat, text)));
            }
            Err(error) => self.tally.add(self.line, 1, error),
        }
    }
}

/// Whether more of a record may have followed. Of what is neither a text nor a container only the
/// space behind it tells (RFC 7464, section 2.4).
fn is_cut_off(record: &str) -> bool {
    record.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '.')
}
