//! JSON Lines.

use super::RecordErrors;
use crate::json::{self, Json};

#[derive(Debug)]
pub(super) struct Lines {
    limit: usize,
    /// The beginning of the line that the last chunk did not end.
    part: Vec<u8>,
    /// Whether the line is too long already, so that the rest of it is passed over.
    skipping: bool,
    /// The number of the current line, from 1.
    line: u64,
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
            errors,
        }
    }

    pub fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(Json)) {
        let mut pieces = chunk.split(|byte| *byte == b'\n');
        // There is always a last piece; only the others end with a line.
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.end_line(piece, each);
        }
        self.keep(last);
    }

    pub fn finish(mut self, each: &mut dyn FnMut(Json)) -> RecordErrors {
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

    fn end_line(&mut self, piece: &[u8], each: &mut dyn FnMut(Json)) {
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

    fn read(&mut self, line: &[u8], each: &mut dyn FnMut(Json)) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return self.errors.add(self.line, "not UTF-8");
        };
        match json::parse_str(text) {
            Ok(record) => each(record),
            Err(error) => self.errors.add(self.line, error),
        }
    }
}
