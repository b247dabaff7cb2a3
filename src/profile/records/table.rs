//! Tables: a header row, and rows of cells under its names.

use super::cell::Nulls;
use super::error::Tally;
use super::record::{Names, Row};
use super::rows::{Ender, Found, Rows, is_line_end, line_ends};
use super::{Form, Record, SourceError};

/// How many columns a table may have.
pub const MAX_COLUMNS: usize = 10_000;

/// How a table is written.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    /// What separates cells.
    pub delimiter: u8,
    /// The decimal mark of its numbers.
    pub decimal: u8,
    /// What stands for missing values.
    pub nulls: Nulls,
}

#[derive(Debug)]
pub(super) struct Table {
    dialect: Dialect,
    encoding: &'static str,
    limit: usize,
    rows: Rows,
    header: Option<Header>,
    /// The row that the last chunk did not end.
    part: Option<Part>,
    /// The line of the current row, from 1.
    line: u64,
    /// Whether the byte before is a `\r`, so that a `\n` belongs to it.
    after_return: bool,
    /// Rows that have fewer cells than the header, and the line of the first one.
    short: Option<(u64, u64)>,
    pub tally: Tally,
}

#[derive(Debug)]
struct Header {
    names: Names,
    /// How many cells the header has, of which the last ones may be empty.
    cells: usize,
}

/// The beginning of a row.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    ender: Ender,
    is_too_large: bool,
}

type Each<'e> = dyn FnMut(Record<'_>) + 'e;

impl Table {
    /// A reader of the header row, which stands in `line`.
    pub fn new(dialect: Dialect, line: u64, limit: usize, encoding: &'static str) -> Table {
        Table {
            rows: Rows::new(dialect.delimiter, MAX_COLUMNS + 1),
            dialect,
            encoding,
            // Places in a row are numbers of 32 bits.
            limit: limit.min(u32::MAX as usize),
            header: None,
            part: None,
            line,
            after_return: false,
            short: None,
            tally: Tally::default(),
        }
    }

    pub fn set_encoding(&mut self, encoding: &'static str) {
        self.encoding = encoding;
    }

    /// The line that is read.
    pub fn line(&self) -> u64 {
        self.line + self.part.as_ref().map_or(0, |part| part.ender.lines())
    }

    pub fn feed(&mut self, chunk: &[u8], each: &mut Each<'_>) -> Result<(), SourceError> {
        let mut rest = match self.part.take() {
            Some(part) => self.go_on(part, chunk, each)?,
            None => chunk,
        };
        let valid = valid_start(rest);
        let all = rest;
        loop {
            rest = self.skip_line_ends(rest);
            if rest.is_empty() {
                return Ok(());
            }
            let found = self.rows.read(rest, false);
            let (Found::Row(end) | Found::Junk { end, .. }) = found else {
                self.part = self.begin_part(rest);
                return Ok(());
            };
            let at = all.len() - rest.len();
            let text = valid.get(at..at + end);
            self.end_row(&rest[..end], text, found, each)?;
            rest = &rest[end..];
        }
    }

    /// Passes over ends of lines: of the row before, and of empty lines.
    fn skip_line_ends<'c>(&mut self, mut rest: &'c [u8]) -> &'c [u8] {
        while let [byte, after @ ..] = rest
            && is_line_end(*byte)
        {
            let is_second_half = self.after_return && *byte == b'\n';
            self.line += u64::from(!is_second_half);
            self.after_return = *byte == b'\r';
            rest = after;
        }
        if !rest.is_empty() {
            self.after_return = false;
        }
        rest
    }

    fn begin_part(&self, rest: &[u8]) -> Option<Part> {
        let mut part = Part::default();
        part.keep(rest, self.limit);
        part.ender.find(rest, self.dialect.delimiter);
        Some(part)
    }

    /// Adds to a row. Answers what comes after it.
    fn go_on<'c>(
        &mut self,
        mut part: Part,
        chunk: &'c [u8],
        each: &mut Each<'_>,
    ) -> Result<&'c [u8], SourceError> {
        let Some(end) = part.ender.find(chunk, self.dialect.delimiter) else {
            part.keep(chunk, self.limit);
            self.part = Some(part);
            return Ok(&[]);
        };
        let (row, rest) = chunk.split_at(end);
        part.keep(row, self.limit);
        self.end_part(&part, each)?;
        Ok(rest)
    }

    fn end_part(&mut self, part: &Part, each: &mut Each<'_>) -> Result<(), SourceError> {
        if part.is_too_large {
            let lines = part.ender.lines() + 1;
            let error = format!("larger than {} bytes", self.limit);
            return self.wrong(lines, error);
        }
        let row = &part.bytes;
        let found = self.rows.read(row, true);
        let valid = valid_start(row);
        self.end_row(row, valid.get(..row.len()), found, each)
    }

    /// The file has ended.
    pub fn finish(&mut self, each: &mut Each<'_>) -> Result<(), SourceError> {
        if let Some(part) = self.part.take() {
            if let Some(before) = part.ender.open_quote() {
                let line = self.line + before;
                let message = format!("the quote that opens in line {line} is never closed");
                return Err(SourceError::BadTable(message));
            }
            self.end_part(&part, each)?;
        }
        if self.header.is_none() {
            return Err(SourceError::BadTable("the file has no header row".into()));
        }
        self.tally.check(SourceError::BadTable)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        self.header
            .as_ref()
            .map_or(&[], |header| header.names.all())
    }

    /// What is to be told of the table.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some((count, line)) = self.short {
            notes.push(format!(
                "rows with fewer cells than the header: {count}, the first in line {line}; the cells that they lack are nulls"
            ));
        }
        let names = self.columns();
        let is_number = |name: &String| super::cell::number(name, self.dialect.decimal).is_some();
        if !names.is_empty() && names.iter().all(is_number) {
            notes.push("the first row is taken for the header, but has only numbers".to_owned());
        }
        notes
    }

    /// Takes up a row; `text` is the row where it is known to be UTF-8.
    fn end_row(
        &mut self,
        row: &[u8],
        text: Option<&str>,
        found: Found,
        each: &mut Each<'_>,
    ) -> Result<(), SourceError> {
        let lines = match self.rows.has_quotes {
            true => line_ends(row) + 1,
            false => 1,
        };
        let taken = match found {
            _ if row.len() > self.limit => {
                let error = format!("larger than {} bytes", self.limit);
                self.wrong(lines, error)
            }
            Found::Junk { open, spans, .. } => self.junk(line_ends(&row[..open]), spans, lines),
            _ => match text.or_else(|| std::str::from_utf8(row).ok()) {
                Some(text) => self.take(text, lines, each),
                None => self.not_text(),
            },
        };
        self.line += lines - 1;
        taken
    }

    /// Text stands behind a closing quote. Where the quoted cell has several lines, they are rows that
    /// a quote too many has made one of, and where rows begin is not known any more.
    fn junk(&mut self, before: u64, spans: bool, lines: u64) -> Result<(), SourceError> {
        let line = self.line + before;
        if spans {
            let message = format!(
                "the quote that opens in line {line} is closed lines later, in the middle of a cell"
            );
            return Err(SourceError::BadTable(message));
        }
        self.wrong(
            lines,
            "text behind a closing quote; quotes in a cell are doubled".to_owned(),
        )
    }

    fn not_text(&mut self) -> Result<(), SourceError> {
        if self.header.is_none() {
            let (line, encoding) = (self.line, self.encoding);
            let message = format!("the header row (line {line}) is not {encoding}");
            return Err(SourceError::BadEncoding(message));
        }
        self.tally.add_not_text(self.line, self.encoding);
        Ok(())
    }

    /// A wrong row is counted; without a header there is no table.
    fn wrong(&mut self, lines: u64, error: String) -> Result<(), SourceError> {
        if self.header.is_none() {
            let message = format!("the header row (line {}): {error}", self.line);
            return Err(SourceError::BadTable(message));
        }
        self.tally.add(self.line, lines, error);
        Ok(())
    }

    /// Hands over the row's record, or takes it for the header.
    fn take(&mut self, text: &str, lines: u64, each: &mut Each<'_>) -> Result<(), SourceError> {
        let cells = &self.rows.cells;
        // As for pandas, a line of spaces is an empty line.
        if cells.len() == 1 && !self.rows.has_quotes && text.trim_ascii().is_empty() {
            return Ok(());
        }
        let own = std::str::from_utf8(&self.rows.own).unwrap_or_default();
        let Some(header) = &mut self.header else {
            let names: Vec<&str> = cells.iter().map(|cell| cell.text(text, own)).collect();
            self.header = Some(header(&names, self.line)?);
            return Ok(());
        };
        let used = cells.iter().rposition(|cell| !cell.is_empty());
        let used = used.map_or(0, |last| last + 1);
        if used > header.cells {
            let error = format!("{used} cells under {} names", header.names.len());
            return self.wrong(lines, error);
        }
        if used > header.names.len() {
            header.names.extend(used);
        }
        if cells.len() < header.names.len() {
            let (count, _) = self.short.get_or_insert((0, self.line));
            *count += 1;
        }
        self.tally.records += 1;
        each(Record(Form::Row(Row {
            names: &header.names,
            cells,
            text,
            own,
            dialect: &self.dialect,
        })));
        Ok(())
    }
}

impl Part {
    fn keep(&mut self, piece: &[u8], limit: usize) {
        if self.is_too_large || self.bytes.len() + piece.len() > limit {
            self.is_too_large = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }
}

fn header(cells: &[&str], line: u64) -> Result<Header, SourceError> {
    let bad = |why: String| SourceError::BadTable(format!("the header row (line {line}) {why}"));
    let named = cells.iter().rposition(|cell| !cell.trim().is_empty());
    let Some(last) = named else {
        return Err(bad("has no names".to_owned()));
    };
    if cells.len() > MAX_COLUMNS {
        return Err(bad(format!("has more than {MAX_COLUMNS} columns")));
    }
    Ok(Header {
        names: Names::new(&cells[..=last]),
        cells: cells.len(),
    })
}

/// The longest beginning that is UTF-8. Rows begin and end at ASCII bytes, so those within are too.
fn valid_start(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}
