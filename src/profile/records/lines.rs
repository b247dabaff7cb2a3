//! JSON Lines.

use super::{Form, Record, RecordErrors};
use crate::json::{self, Flat};

#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    /// The beginning of the line that the last chunk did not end.
    part: Vec<u8>,
    /// Whether the line is too long already, so that the rest of it is passed over.
    skipping: bool,
    /// The number of the current line, from 1.
    line: u64,
    /// Room for a record.
    flat: Flat,
    pub errors: RecordErrors,
}

impl Lines {
    pub fn new(limit: usize) -> Lines {
        let (part, errors) = (Vec::new(), RecordErrors::default());
        Lines {
            limit,
            part,
            skipping: false,
            line: 1,
            flat: Flat::default(),
            errors,
        }
    }

    pub fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(Record<'_>)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            self.end_line(&chunk[start..end], each);
            start = end + 1;
        }
        self.keep(&chunk[start..]);
    }

    pub fn finish(mut self, each: &mut dyn FnMut(Record<'_>)) -> RecordErrors {
        self.end_line(&[], each);
        self.errors
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.skipping || self.part.len() + piece.len() > self.limit {
            self.skipping = true;
            self.part = Vec::new();
        } else {
            self.part.extend_from_slice(piece);
        }
    }

    fn end_line(&mut self, piece: &[u8], each: &mut dyn FnMut(Record<'_>)) {
        if self.part.is_empty() && !self.skipping && piece.len() <= self.limit {
            self.read(piece, each);
        } else {
            self.keep(piece);
            let mut line = std::mem::take(&mut self.part);
            if std::mem::take(&mut self.skipping) {
                self.errors
                    .add(self.line, format!("longer than {} bytes", self.limit));
            } else {
                self.read(&line, each);
                line.clear();
                self.part = line;
            }
        }
        self.line += 1;
    }

    fn read(&mut self, line: &[u8], each: &mut dyn FnMut(Record<'_>)) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return self.errors.add(self.line, "not UTF-8");
        };
        if self.flat.read(text).is_ok() {
            return each(Record(Form::Flat(&self.flat, text)));
        }
        match json::parse_str(text) {
            Ok(record) => each(Record::from(&record)),
            Err(error) => self.errors.add(self.line, error),
        }
    }
}
