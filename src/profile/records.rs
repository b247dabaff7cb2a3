//! Records out of a file's bytes, as they arrive, in bounded memory.
//!
//! ```
//! use async_service::profile::{Profiler, records::{Claims, Records}};
//!
//! let mut profiler = Profiler::new();
//! let mut records = Records::new(Claims::default());
//! for chunk in [&b"{\"a\":1}\n{\"a\""[..], b":2}\n"] {
//!     records.feed(chunk, |record| profiler.record(record))?;
//! }
//! let summary = records.finish(|record| profiler.record(record))?;
//! assert_eq!((summary.errors.count, profiler.finish().records), (0, 2));
//! # Ok::<(), async_service::profile::records::SourceError>(())
//! ```
//!
//! The bytes go down this list: `unpack` decompresses them, `charset` makes UTF-8 of them, `sniff`
//! says what they are, with `dialect` for tables; `lines` or `table` make records of them. What is
//! decided by a look at the beginning is decided on [`HEAD_BYTES`] of it, or on all of a shorter
//! file, so that nothing depends on how the network cuts the bytes. `docs/PROFILES.md` has the rules.

mod cell;
mod charset;
mod claims;
mod dialect;
mod error;
mod lines;
mod record;
mod rows;
mod sniff;
mod table;
mod unpack;

pub use cell::NULL_WORDS;
pub(in crate::profile) use cell::{Amount, Number};
use charset::{Charset, Fault};
pub use claims::{Claims, Format, is_encoding};
pub use error::{KEPT_ERRORS, RecordError, RecordErrors, SourceError};
use lines::Lines;
pub use record::Record;
pub(in crate::profile) use record::{Form, Row};
use rows::line_ends;
use sniff::Plan;
pub use table::MAX_COLUMNS;
use table::Table;
use unpack::Unpack;

/// How long a line of JSON, or a row of a table, may be, in bytes of UTF-8.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// How many bytes of a file, decompressed, are looked at before the first record is read.
pub const HEAD_BYTES: usize = 64 * 1024;

/// What is to be told of a file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// `csv`, `tsv`, `jsonl` or `json-seq`.
    pub format: &'static str,
    /// `gzip` or `zstd`.
    pub compression: Option<&'static str>,
    /// The encoding's name in the Encoding Standard.
    pub encoding: &'static str,
    /// What separates cells.
    pub delimiter: Option<char>,
    /// The names of a table's columns.
    pub columns: Vec<String>,
    /// How many records were handed over.
    pub records: u64,
    /// What was decided, or mended, that nobody asked for.
    pub notes: Vec<String>,
    /// What could not be read.
    pub errors: RecordErrors,
}

/// Reads records from chunks of any size.
#[derive(Debug)]
pub struct Records {
    unpack: Unpack,
    text: Text,
    /// How many bytes may come out of a compression.
    max_bytes: u64,
}

/// The decompressed file.
#[derive(Debug)]
struct Text {
    claims: Claims,
    max_record_bytes: usize,
    /// The beginning, until there is enough of it.
    head: Vec<u8>,
    reading: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    charset: Charset,
    reader: Reader,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Reader {
    Lines(Box<Lines>, bool),
    Table(Box<Table>, u8),
}

type Each<'e> = dyn FnMut(Record<'_>) + 'e;

impl Records {
    /// A reader of a file's beginning.
    #[must_use]
    pub fn new(claims: Claims) -> Records {
        Records::with_limits(claims, MAX_RECORD_BYTES, u64::MAX)
    }

    /// As [`Records::new`], with another bound than [`MAX_RECORD_BYTES`], and one for what comes out of a
    /// compressed file, in bytes.
    #[must_use]
    pub fn with_limits(claims: Claims, max_record_bytes: usize, max_bytes: u64) -> Records {
        let text = Text {
            claims,
            max_record_bytes,
            head: Vec::new(),
            reading: None,
        };
        Records {
            unpack: Unpack::new(),
            text,
            max_bytes,
        }
    }

    /// Takes up the next bytes and hands over the records that are complete.
    ///
    /// # Errors
    ///
    /// The file cannot be read; nothing is to be fed after that.
    pub fn feed(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Record<'_>),
    ) -> Result<(), SourceError> {
        let text = &mut self.text;
        let mut piece = |piece: &[u8]| text.feed(piece, &mut each);
        self.unpack.feed(chunk, self.max_bytes, &mut piece)
    }

    /// Hands over the last records.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or more of its records are wrong than right.
    pub fn finish(mut self, mut each: impl FnMut(Record<'_>)) -> Result<Summary, SourceError> {
        let text = &mut self.text;
        let mut piece = |piece: &[u8]| text.feed(piece, &mut each);
        self.unpack.finish(self.max_bytes, &mut piece)?;
        let summary = self.text.finish(&mut each)?;
        let compression = self.unpack.name();
        Ok(Summary {
            compression,
            ..summary
        })
    }
}

impl Text {
    fn feed(&mut self, mut bytes: &[u8], each: &mut Each<'_>) -> Result<(), SourceError> {
        if self.reading.is_none() {
            let (more, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
            self.head.extend_from_slice(more);
            if self.head.len() < HEAD_BYTES {
                return Ok(());
            }
            self.begin(false, each)?;
            bytes = rest;
        }
        match &mut self.reading {
            Some(reading) => reading.feed(bytes, each),
            None => Ok(()),
        }
    }

    /// Looks at the beginning, and reads it.
    fn begin(&mut self, is_all: bool, each: &mut Each<'_>) -> Result<(), SourceError> {
        let head = std::mem::take(&mut self.head);
        sniff::refuse_binary(&head)?;
        let named = self.claims.encoding.as_deref();
        let mut charset = Charset::new(&head, named, self.claims.charset())?;
        let mut notes = std::mem::take(&mut charset.notes);
        let text = decode_head(&head, is_all, &mut charset, &mut notes)?;
        let plan = sniff::plan(&text, is_all, &self.claims)?;
        let limit = self.max_record_bytes;
        let (mut reader, header) = match plan {
            Plan::Lines { is_sequence } => {
                let lines = Lines::new(is_sequence, limit, charset.name());
                (Reader::Lines(Box::new(lines), is_sequence), 0)
            }
            Plan::Table(found) => {
                let delimiter = found.dialect.delimiter;
                let table = Table::new(found.dialect, found.line, limit, charset.name());
                notes.extend(found.notes);
                (Reader::Table(Box::new(table), delimiter), found.header)
            }
        };
        reader.feed(&text[header..], each)?;
        self.reading = Some(Reading {
            charset,
            reader,
            notes,
        });
        Ok(())
    }

    fn finish(&mut self, each: &mut Each<'_>) -> Result<Summary, SourceError> {
        if self.reading.is_none() {
            self.begin(true, each)?;
        }
        let Some(reading) = self.reading.take() else {
            return Err(SourceError::UnknownFormat("the file is empty".to_owned()));
        };
        reading.finish(each)
    }
}

/// The beginning of a file as UTF-8.
fn decode_head(
    head: &[u8],
    is_all: bool,
    charset: &mut Charset,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, SourceError> {
    let mut text = Vec::with_capacity(head.len());
    let mut rest = head;
    while !rest.is_empty() {
        let was_guessed = charset.is_guessed();
        let fed = charset.feed(rest, &mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        });
        rest = fed.map_err(|fault| fault.in_line(1 + line_ends(&text)))?;
        if charset.is_guessed() && !was_guessed {
            notes.push(charset::guessed(1 + line_ends(&text)));
        }
    }
    if is_all {
        let was_guessed = charset.is_guessed();
        let finished = charset.finish(&mut |piece| {
            text.extend_from_slice(piece);
            Ok(())
        });
        finished.map_err(|fault| fault.in_line(1 + line_ends(&text)))?;
        if charset.is_guessed() && !was_guessed {
            notes.push(charset::guessed(1 + line_ends(&text)));
        }
    }
    Ok(text)
}

impl Reading {
    fn feed(&mut self, mut bytes: &[u8], each: &mut Each<'_>) -> Result<(), SourceError> {
        while !bytes.is_empty() {
            let was_guessed = self.charset.is_guessed();
            let reader = &mut self.reader;
            let fed = self
                .charset
                .feed(bytes, &mut |text| reader.feed(text, each));
            bytes = fed.map_err(|fault| fault.in_line(self.reader.line()))?;
            self.note_guess(was_guessed);
        }
        Ok(())
    }

    fn note_guess(&mut self, was_guessed: bool) {
        if self.charset.is_guessed() && !was_guessed {
            self.notes.push(charset::guessed(self.reader.line()));
            self.reader.set_encoding(self.charset.name());
        }
    }

    fn finish(mut self, each: &mut Each<'_>) -> Result<Summary, SourceError> {
        let was_guessed = self.charset.is_guessed();
        let reader = &mut self.reader;
        let finished = self.charset.finish(&mut |text| reader.feed(text, each));
        finished.map_err(|fault: Fault| fault.in_line(self.reader.line()))?;
        self.note_guess(was_guessed);
        let encoding = self.charset.name();
        let mut notes = self.notes;
        let summary = match self.reader {
            Reader::Lines(mut lines, is_sequence) => {
                lines.finish(each)?;
                notes.extend(lines.notes());
                let format = if is_sequence { "json-seq" } else { "jsonl" };
                summary(format, None, Vec::new(), lines.tally)
            }
            Reader::Table(mut table, delimiter) => {
                table.finish(each)?;
                notes.extend(table.notes());
                let format = if delimiter == b'\t' { "tsv" } else { "csv" };
                let columns = table.columns().to_vec();
                summary(format, Some(char::from(delimiter)), columns, table.tally)
            }
        };
        Ok(Summary {
            encoding,
            notes,
            ..summary
        })
    }
}

fn summary(
    format: &'static str,
    delimiter: Option<char>,
    columns: Vec<String>,
    tally: error::Tally,
) -> Summary {
    Summary {
        format,
        compression: None,
        encoding: "",
        delimiter,
        columns,
        records: tally.records,
        notes: Vec::new(),
        errors: tally.errors,
    }
}

impl Reader {
    fn feed(&mut self, text: &[u8], each: &mut Each<'_>) -> Result<(), SourceError> {
        match self {
            Reader::Lines(lines, _) => {
                lines.feed(text, each);
                Ok(())
            }
            Reader::Table(table, _) => table.feed(text, each),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Reader::Lines(lines, _) => lines.line(),
            Reader::Table(table, _) => table.line(),
        }
    }

    fn set_encoding(&mut self, encoding: &'static str) {
        match self {
            Reader::Lines(lines, _) => lines.set_encoding(encoding),
            Reader::Table(table, _) => table.set_encoding(encoding),
        }
    }
}
