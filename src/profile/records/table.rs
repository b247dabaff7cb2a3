//! Comma- and tab-separated values: RFC 4180's quoting, a header row, cells of guessed type.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{Form, Record, RecordErrors};
use crate::json::{self, Literal, Row, Scalar};

/// How many columns a table may have.
const MAX_COLUMNS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Table {
    reader: Reader,
    limit: usize,
    /// Room for a row, under the names of the columns, once the header was read.
    row: Option<Row>,
    /// The current row's cells, unquoted and one after the other; `used` bytes of them are filled.
    cells: Vec<u8>,
    used: usize,
    /// Where the cells end; `columns` of them are filled.
    ends: Vec<usize>,
    columns: usize,
    /// Whether the row is too large already, so that the rest of it is passed over.
    skipping: bool,
    /// The line where the current row begins.
    line: u64,
    /// Whether the current row has not begun, so that ends of lines are empty lines, or the second
    /// half of the one before.
    between: bool,
    /// How many of those were kept from the reader, which counts lines as well.
    passed: u64,
    pub errors: RecordErrors,
}

impl Table {
    pub fn new(delimiter: u8, limit: usize) -> Table {
        // Places in a row are numbers of 32 bits.
        let limit = limit.clamp(1, u32::MAX as usize);
        Table {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            limit,
            row: None,
            cells: vec![0; limit.min(1024)],
            used: 0,
            ends: vec![0; 64],
            columns: 0,
            skipping: false,
            line: 1,
            between: true,
            passed: 0,
            errors: RecordErrors::default(),
        }
    }

    pub fn feed(&mut self, mut chunk: &[u8], each: &mut dyn FnMut(Record<'_>)) {
        loop {
            if self.between {
                chunk = self.begin_row(chunk);
            }
            // For the reader an empty chunk means the end.
            if chunk.is_empty() {
                return;
            }
            let (read, _) = self.step(chunk, each);
            chunk = &chunk[read..];
        }
    }

    /// Passes over ends of lines, and notes the line at which the row begins.
    fn begin_row<'c>(&mut self, mut chunk: &'c [u8]) -> &'c [u8] {
        while let [end @ (b'\r' | b'\n'), rest @ ..] = chunk {
            self.passed += u64::from(*end == b'\n');
            chunk = rest;
        }
        self.between = chunk.is_empty();
        self.line = self.reader.line() + self.passed;
        chunk
    }

    pub fn finish(mut self, each: &mut dyn FnMut(Record<'_>)) -> RecordErrors {
        while !self.step(&[], each).1 {}
        self.errors
    }

    /// Answers how many bytes were read, and whether it was the end.
    fn step(&mut self, chunk: &[u8], each: &mut dyn FnMut(Record<'_>)) -> (usize, bool) {
        let (cells, ends) = (&mut self.cells[self.used..], &mut self.ends[self.columns..]);
        let (result, read, cells, ends) = self.reader.read_record(chunk, cells, ends);
        self.used += cells;
        self.columns += ends;
        match result {
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull if self.cells.len() < self.limit => {
                self.cells.resize((self.cells.len() * 2).min(self.limit), 0);
            }
            ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_COLUMNS => {
                self.ends.resize((self.ends.len() * 2).min(MAX_COLUMNS), 0);
            }
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                self.skipping = true;
                self.used = 0;
                self.columns = 0;
            }
            ReadRecordResult::Record => self.end_row(each),
            ReadRecordResult::End => return (read, true),
        }
        (read, false)
    }

    fn end_row(&mut self, each: &mut dyn FnMut(Record<'_>)) {
        let read = if std::mem::take(&mut self.skipping) {
            Err(format!(
                "larger than {} bytes or {MAX_COLUMNS} columns",
                self.limit
            ))
        } else {
            self.read_row(each)
        };
        if let Err(error) = read {
            self.errors.add(self.line, error);
        }
        self.used = 0;
        self.columns = 0;
        self.between = true;
    }

    /// Hands over the row's record, or takes it for the header.
    fn read_row(&mut self, each: &mut dyn FnMut(Record<'_>)) -> Result<(), String> {
        let text = std::str::from_utf8(&self.cells[..self.used]).map_err(|_| "not UTF-8")?;
        let ends = &self.ends[..self.columns];
        // A cell's end may stand inside of a character when another cell completes it.
        if !ends.iter().all(|end| text.is_char_boundary(*end)) {
            return Err("not UTF-8".to_owned());
        }
        let mut start = 0;
        let cells = ends.iter().map(|&end| {
            let cell = (start, text.get(start..end).unwrap_or_default());
            start = end;
            cell
        });
        let Some(row) = &mut self.row else {
            let names = names(&cells.map(|(_, cell)| cell).collect::<Vec<&str>>());
            self.row = Some(Row::new(names.iter().map(String::as_str)));
            return Ok(());
        };
        if ends.len() != row.columns() {
            return Err(format!(
                "{} cells under {} names",
                ends.len(),
                row.columns()
            ));
        }
        let flat = row.fill(cells.map(|(start, cell)| value(start, cell)));
        each(Record(Form::Flat(flat, text)));
        Ok(())
    }
}

/// The columns' names, each once: an empty one is called by its number, a repeated one gets a
/// number too.
fn names(cells: &[&str]) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    let mut unique = |column: usize, cell: &str| {
        let name = match cell.trim() {
            "" => format!("column_{column}"),
            name => name.to_owned(),
        };
        let mut candidate = name.clone();
        if taken.contains(&candidate) {
            candidate = format!("{name}_{column}");
        }
        while !taken.insert(candidate.clone()) {
            candidate.push('_');
        }
        candidate
    };
    cells
        .iter()
        .enumerate()
        .map(|(index, cell)| unique(index + 1, cell))
        .collect()
}

/// A cell's value: nothing is `null`, what JSON calls a number is one (spaces around it aside),
/// anything else is text; so `007`, `+5` and `1e999` stay as they are.
fn value(start: usize, cell: &str) -> Scalar {
    if cell.is_empty() {
        return Scalar::Null;
    }
    let trimmed = cell.trim();
    if trimmed.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        match json::read_scalar(trimmed) {
            Some(Scalar::Int(int)) => return Scalar::Int(int),
            Some(Scalar::Float(number)) if number.is_finite() => return Scalar::Float(number),
            _ => {}
        }
    }
    Scalar::String(Literal::Plain(start..start + cell.len()))
}
