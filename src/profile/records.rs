//! Records out of a file's bytes, as they arrive, in bounded memory.
//!
//! ```
//! use async_service::profile::{Profiler, records::{Format, Records}};
//!
//! let mut profiler = Profiler::new();
//! let mut records = Records::new(Format::JsonLines);
//! for chunk in [&b"{\"a\":1}\n{\"a\""[..], b":2}\n"] {
//!     records.feed(chunk, |record| profiler.record(record));
//! }
//! let errors = records.finish(|record| profiler.record(record));
//! assert_eq!((errors.count, profiler.finish().records), (0, 2));
//! ```

mod lines;
mod record;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

use lines::Lines;
pub(in crate::profile) use record::Form;
pub use record::Record;
use table::Table;

/// How long a line of JSON, or a row of a table, may be, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// How many errors are kept with their place and reason.
pub const KEPT_ERRORS: usize = 5;

/// How a file separates its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON value a line.
    JsonLines,
    /// Rows of cells under a header row.
    Csv {
        /// What separates cells: `,` or a tab.
        delimiter: u8,
    },
}

impl Format {
    /// Comma-separated values.
    pub const CSV: Format = Format::Csv { delimiter: b',' };
    /// Tab-separated values.
    pub const TSV: Format = Format::Csv { delimiter: b'\t' };

    /// The format that the content type names, else the extension of the URL's path, else the
    /// first bytes: `{` begins JSON Lines; any other text that is not markup is CSV, with the
    /// delimiter that its first line has more of. `None` for a JSON array and for what is no text.
    #[must_use]
    pub fn detect(content_type: Option<&str>, path: &str, start: &[u8]) -> Option<Format> {
        content_type
            .and_then(Format::of_content_type)
            .or_else(|| Format::of_path(path))
            .or_else(|| Format::of_start(start))
    }

    fn of_content_type(content_type: &str) -> Option<Format> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonl"
            | "application/jsonlines"
            | "application/x-jsonlines"
            | "application/json-lines"
            | "text/x-ndjson" => Some(Format::JsonLines),
            "text/csv" | "application/csv" | "text/x-csv" | "application/x-csv" => {
                Some(Format::CSV)
            }
            "text/tab-separated-values" => Some(Format::TSV),
            _ => None,
        }
    }

    fn of_path(path: &str) -> Option<Format> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "jsonlines" => Some(Format::JsonLines),
            "csv" => Some(Format::CSV),
            "tsv" | "tab" => Some(Format::TSV),
            _ => None,
        }
    }

    fn of_start(start: &[u8]) -> Option<Format> {
        let start = start.strip_prefix(MARK).unwrap_or(start);
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace())?;
        match first {
            b'{' => return Some(Format::JsonLines),
            b'[' | b'<' => return None,
            _ => {}
        }
        let line = start
            .trim_ascii_start()
            .split(|byte| *byte == b'\n')
            .next()?;
        if line
            .iter()
            .any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\r'))
        {
            return None;
        }
        let count = |wanted| line.iter().filter(|byte| **byte == wanted).count();
        Some(if count(b'\t') > count(b',') {
            Format::TSV
        } else {
            Format::CSV
        })
    }
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordError {
    /// The line at which the record begins, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub error: String,
}

/// The records that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordErrors {
    /// How many there are.
    pub count: u64,
    /// The first [`KEPT_ERRORS`] of them.
    pub first: Vec<RecordError>,
}

impl RecordErrors {
    fn add(&mut self, line: u64, error: impl ToString) {
        self.count += 1;
        if self.first.len() < KEPT_ERRORS {
            self.first.push(RecordError {
                line,
                error: error.to_string(),
            });
        }
    }
}

/// UTF-8's byte order mark.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads records from chunks of any size.
#[derive(Debug)]
pub struct Records {
    /// The first bytes while a byte order mark could be among them.
    start: Option<Vec<u8>>,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Lines(Lines),
    Table(Box<Table>),
}

impl Records {
    /// A reader of a file's beginning.
    #[must_use]
    pub fn new(format: Format) -> Records {
        Records::with_limit(format, MAX_RECORD_BYTES)
    }

    /// As [`Records::new`], with another bound than [`MAX_RECORD_BYTES`].
    #[must_use]
    pub fn with_limit(format: Format, max_record_bytes: usize) -> Records {
        let reader = match format {
            Format::JsonLines => Reader::Lines(Lines::new(max_record_bytes)),
            Format::Csv { delimiter } => {
                Reader::Table(Box::new(Table::new(delimiter, max_record_bytes)))
            }
        };
        Records {
            start: Some(Vec::new()),
            reader,
        }
    }

    /// Takes up the next bytes and hands over the records that are complete.
    pub fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Record<'_>)) {
        let Some(mut start) = self.start.take() else {
            return self.reader.feed(chunk, &mut each);
        };
        start.extend_from_slice(chunk);
        if start.len() < MARK.len() && MARK.starts_with(&start) {
            self.start = Some(start);
            return;
        }
        self.reader
            .feed(start.strip_prefix(MARK).unwrap_or(&start), &mut each);
    }

    /// Hands over a last record without an end of line, and answers what could not be read.
    #[must_use]
    pub fn finish(mut self, mut each: impl FnMut(Record<'_>)) -> RecordErrors {
        if let Some(start) = self.start.take() {
            self.reader.feed(&start, &mut each);
        }
        match self.reader {
            Reader::Lines(lines) => lines.finish(&mut each),
            Reader::Table(table) => table.finish(&mut each),
        }
    }

    /// What could not be read so far.
    #[must_use]
    pub fn errors(&self) -> &RecordErrors {
        match &self.reader {
            Reader::Lines(lines) => &lines.errors,
            Reader::Table(table) => &table.errors,
        }
    }
}

impl Reader {
    fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(Record<'_>)) {
        match self {
            Reader::Lines(lines) => lines.feed(chunk, each),
            Reader::Table(table) => table.feed(chunk, each),
        }
    }
}
