//! What of a file could not be read.

use serde::Serialize;
use utoipa::ToSchema;

/// How many errors are kept with their place and reason.
pub const KEPT_ERRORS: usize = 5;

/// Why a file as a whole has no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The content is neither a table nor JSON Lines.
    #[error("{0}")]
    UnknownFormat(String),
    /// The bytes are not text in the encoding that they should have, or the compression is broken.
    #[error("{0}")]
    BadEncoding(String),
    /// The rows do not form one table.
    #[error("{0}")]
    BadTable(String),
    /// More than so many bytes come out of the compression.
    #[error("the file is larger than {0} bytes, decompressed")]
    TooLarge(u64),
}

impl SourceError {
    /// A word for programs that does not change when the message does.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            SourceError::UnknownFormat(_) => "UnknownFormat",
            SourceError::BadEncoding(_) => "BadEncoding",
            SourceError::BadTable(_) => "BadTable",
            SourceError::TooLarge(_) => "body_too_large",
        }
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

/// Counts the records that could be read and those that could not.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub records: u64,
    pub errors: RecordErrors,
    /// The lines that the wrong records take up.
    lost_lines: u64,
    /// How many errors are bytes that are not text in the file's encoding.
    not_text: u64,
}

impl Tally {
    /// Counts a record of `lines` lines that cannot be read.
    pub fn add(&mut self, line: u64, lines: u64, error: impl ToString) {
        self.errors.count += 1;
        self.lost_lines += lines.max(1);
        if self.errors.first.len() < KEPT_ERRORS {
            let error = error.to_string();
            self.errors.first.push(RecordError { line, error });
        }
    }

    /// Counts a record whose bytes are not text.
    pub fn add_not_text(&mut self, line: u64, encoding: &str) {
        self.not_text += 1;
        self.add(line, 1, format!("not {encoding}"));
    }

    /// Fails where more records are wrong than right. A wrong record counts as many times as it has
    /// lines, since a quote in the wrong place hides the rows of the following lines.
    pub fn check(&self, kind: fn(String) -> SourceError) -> Result<(), SourceError> {
        let (wrong, right) = (self.lost_lines, self.records);
        let Some(first) = self.errors.first.first().filter(|_| wrong > right) else {
            return Ok(());
        };
        let message = format!(
            "{} of {} records cannot be read; line {}: {}",
            self.errors.count,
            self.errors.count + right,
            first.line,
            first.error
        );
        Err(match self.not_text * 2 > self.errors.count {
            true => SourceError::BadEncoding(message),
            false => kind(message),
        })
    }
}
