//! How a table is written: what separates its cells, which its decimal mark is, where its header is.

use super::cell::{Nulls, number};
use super::rows::{Found as Read, Rows, is_line_end, line_ends};
use super::table::{Dialect, MAX_COLUMNS};
use super::{Claims, Format, SourceError};

/// What may separate cells. Where all look alike, the last one: commas stand in texts and numbers too.
const DELIMITERS: [u8; 4] = [b',', b'|', b'\t', b';'];

/// How many rows are looked at.
const SAMPLED: usize = 1_000;

/// A table's beginning.
#[derive(Debug)]
pub(super) struct Found {
    pub dialect: Dialect,
    /// Where the header begins, in bytes and as a line.
    pub header: usize,
    pub line: u64,
    /// How many columns have names.
    pub columns: usize,
    /// How many rows were looked at, and how many of them have no more cells than there are names.
    pub rows: usize,
    pub fitting: usize,
    pub notes: Vec<String>,
}

/// The rows of a table's beginning under one delimiter.
#[derive(Debug, Default)]
struct Sample {
    columns: usize,
    rows: usize,
    fitting: usize,
    /// Rows with as many cells as there are names.
    exact: usize,
    /// The cells below the header.
    cells: Vec<Vec<String>>,
}

/// Finds out how the table is written of which `head` is the beginning, or all.
pub(super) fn find(
    head: &[u8],
    is_all: bool,
    claims: &Claims,
    wanted: Option<Format>,
) -> Result<Found, SourceError> {
    let mut start = Start::new(head, is_all);
    let hinted = start.delimiter_hint();
    let comments = start.comments()?;
    let rest = &head[start.at..];
    let only_tab = claims.format == Some(Format::Tsv);
    let fixed = claims.delimiter.or(hinted).or(only_tab.then_some(b'\t'));
    let (delimiter, sample) = match fixed {
        Some(delimiter) => (delimiter, Sample::of(rest, delimiter, is_all)),
        None => best(rest, is_all, wanted),
    };
    check_header(rest, delimiter)?;
    let mut notes = Vec::new();
    if let Some(last) = &comments.last {
        start.header_or_comment(last, delimiter, &sample, &mut notes, comments.count)?;
    }
    let decimal = claims.decimal.unwrap_or_else(|| sample.decimal(delimiter));
    if claims.decimal.is_none() && decimal == b',' {
        notes.push("decimal commas are read as numbers".to_owned());
    }
    let nulls = claims.nulls.clone();
    let nulls = nulls.map(|words| Nulls::new(words.into_iter().map(Into::into).collect()));
    let dialect = Dialect {
        delimiter,
        decimal,
        nulls: nulls.unwrap_or_default(),
    };
    Ok(Found {
        dialect,
        header: start.at,
        line: 1 + line_ends(&head[..start.at]),
        columns: sample.columns,
        rows: sample.rows,
        fitting: sample.fitting,
        notes,
    })
}

/// The place in a file's beginning up to which it was looked at.
struct Start<'h> {
    head: &'h [u8],
    is_all: bool,
    at: usize,
}

/// Lines that begin with `#`, before the header.
#[derive(Default)]
struct Comments {
    count: u64,
    /// The last one, with its place.
    last: Option<(usize, Vec<u8>)>,
}

impl<'h> Start<'h> {
    fn new(head: &'h [u8], is_all: bool) -> Start<'h> {
        let at = 0;
        Start { head, is_all, at }
    }

    /// The next line that is not empty; `None` where it does not end.
    fn line(&mut self) -> Option<&'h [u8]> {
        let rest = &self.head[self.at..];
        let empty = rest.iter().take_while(|byte| is_line_end(**byte)).count();
        self.at += empty;
        let rest = &rest[empty..];
        match rest.iter().position(|byte| is_line_end(*byte)) {
            Some(end) => Some(&rest[..end]),
            None if self.is_all => Some(rest),
            None => None,
        }
    }

    /// Excel's `sep=;` in a line of its own.
    fn delimiter_hint(&mut self) -> Option<u8> {
        let line = self.line()?;
        let hint = line
            .strip_prefix(b"\"")
            .and_then(|line| line.strip_suffix(b"\""));
        let hint = hint.unwrap_or(line);
        let (name, delimiter) = hint.split_at_checked(4)?;
        let [delimiter] = delimiter else { return None };
        let is_one = delimiter.is_ascii_punctuation() && *delimiter != b'"' || *delimiter == b'\t';
        if !name.eq_ignore_ascii_case(b"sep=") || !is_one {
            return None;
        }
        self.at += line.len();
        Some(*delimiter)
    }

    /// Passes over comments.
    fn comments(&mut self) -> Result<Comments, SourceError> {
        let mut comments = Comments::default();
        loop {
            match self.line() {
                Some(line) if line.starts_with(b"#") => {
                    comments.count += 1;
                    comments.last = Some((self.at, line.to_vec()));
                    self.at += line.len();
                }
                Some(b"") | None if comments.count > 0 => {
                    let message = "there are only lines of comments (#), and no header row";
                    return Err(SourceError::BadTable(message.to_owned()));
                }
                _ => return Ok(comments),
            }
        }
    }

    /// Goes back to the last comment where it is the header itself, as in `#id,name`: no space follows
    /// the `#`, and it has as many cells as the next row, which has a number, as no header has.
    fn header_or_comment(
        &mut self,
        (place, line): &(usize, Vec<u8>),
        delimiter: u8,
        sample: &Sample,
        notes: &mut Vec<String>,
        count: u64,
    ) -> Result<(), SourceError> {
        let mut rows = Rows::new(delimiter, MAX_COLUMNS);
        rows.read(line, true);
        let is_like_a_header = line
            .get(1)
            .is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b'#')
            && rows.cells.len() > 1
            && rows.cells.len() == sample.columns;
        let mut skipped = count;
        if is_like_a_header {
            let next = String::from_utf8_lossy(self.line().unwrap_or_default());
            rows.read(next.as_bytes(), true);
            let cells = rows.cells.iter();
            let has_number = cells
                .clone()
                .any(|cell| number(cell.text(&next, ""), b'.').is_some());
            if !has_number {
                let line = 1 + line_ends(&self.head[..*place]);
                return Err(SourceError::BadTable(format!(
                    "line {line} begins with # and may be the header or a comment"
                )));
            }
            self.at = *place;
            skipped -= 1;
        }
        if skipped > 0 {
            notes.push(format!(
                "lines of comments (#) before the header: {skipped}; they are skipped"
            ));
        }
        Ok(())
    }
}

/// A file with control characters in its first line is no text.
fn check_header(rest: &[u8], delimiter: u8) -> Result<(), SourceError> {
    let mut line = rest.iter().take_while(|byte| !is_line_end(**byte));
    if line.any(|byte| *byte < b' ' && *byte != b'\t' && *byte != delimiter) {
        let message =
            "the file is neither JSON Lines nor a table: its first line has control characters";
        return Err(SourceError::UnknownFormat(message.to_owned()));
    }
    Ok(())
}

/// The delimiter by which most rows have the header's cells.
fn best(rest: &[u8], is_all: bool, wanted: Option<Format>) -> (u8, Sample) {
    let samples = DELIMITERS.map(|delimiter| (delimiter, Sample::of(rest, delimiter, is_all)));
    let tab = wanted == Some(Format::Tsv);
    let separates = |(_, sample): &(u8, Sample)| sample.columns > 1;
    let found = samples
        .into_iter()
        .filter(separates)
        .max_by_key(|(delimiter, sample)| {
            let is_wanted = tab && *delimiter == b'\t';
            (is_wanted, sample.fitting, sample.exact, sample.columns)
        });
    found.unwrap_or_else(|| {
        let delimiter = if tab { b'\t' } else { b',' };
        (delimiter, Sample::of(rest, delimiter, is_all))
    })
}

impl Sample {
    fn of(mut rest: &[u8], delimiter: u8, is_all: bool) -> Sample {
        let mut rows = Rows::new(delimiter, MAX_COLUMNS);
        let mut sample = Sample::default();
        let mut has_header = false;
        while sample.rows < SAMPLED {
            let ends = rest.iter().take_while(|byte| is_line_end(**byte)).count();
            rest = &rest[ends..];
            if rest.is_empty() {
                break;
            }
            let mut read = rows.read(rest, is_all);
            if read == Read::Incomplete && !has_header {
                // A header may be longer than what is looked at.
                read = rows.read(rest, true);
            }
            let (end, is_row) = match read {
                Read::Row(end) => (end, true),
                Read::Junk { end, .. } => (end, false),
                Read::Incomplete => break,
            };
            let used = rows.cells.iter().rposition(|cell| !cell.is_empty());
            let used = used.map_or(0, |last| last + 1);
            if has_header {
                sample.rows += 1;
                sample.fitting += usize::from(is_row && used <= sample.columns);
                sample.exact += usize::from(is_row && used == sample.columns);
                sample.keep(&rest[..end], &rows);
            } else {
                sample.columns = used;
                has_header = true;
            }
            rest = &rest[end..];
        }
        sample
    }

    /// Keeps cells that may be numbers with a decimal mark.
    fn keep(&mut self, row: &[u8], rows: &Rows) {
        let Ok(row) = std::str::from_utf8(row) else {
            return;
        };
        let texts = rows.cells.iter().map(|cell| cell.text(row, ""));
        let marked = texts.filter(|text| text.contains([',', '.']) && text.len() < 30);
        self.cells.push(marked.map(str::to_owned).collect());
    }

    /// A comma in a table that semicolons separate, where there are numbers with a comma and none with a
    /// point. `1,234` and `1.234` may mean a thousand as well, and do not count.
    fn decimal(&self, delimiter: u8) -> u8 {
        if delimiter != b';' {
            return b'.';
        }
        let cells = || self.cells.iter().flatten();
        let has = |mark: u8| {
            cells().any(|cell| {
                let Some((before, after)) = cell.trim().split_once(char::from(mark)) else {
                    return false;
                };
                let before = before.trim_start_matches(['+', '-']);
                let is_clear = after.len() != 3 || matches!(before, "" | "0");
                is_clear && number(cell, mark).is_some()
            })
        };
        match has(b',') && !has(b'.') {
            true => b',',
            false => b'.',
        }
    }
}
