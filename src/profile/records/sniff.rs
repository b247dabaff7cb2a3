//! What a file is, by its beginning.
//!
//! Three have a say: who asks, the content type, and the content. The content has the last word
//! where it is plainly something else, whatever anybody says; a name alone never decides.

use super::dialect::{self, Found as Dialected};
use super::lines::SEPARATOR;
use super::rows::line_ends;
use super::{Claims, Format, SourceError};
use crate::json::{self, Json};

/// What the content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Format(Format),
    /// Something that is neither a table nor lines of JSON.
    Other,
    Nothing,
}

/// How the records of a file are read.
#[derive(Debug)]
pub(super) enum Plan {
    Lines { is_sequence: bool },
    Table(Dialected),
}

/// Files that begin so are no text.
const MAGIC: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "a ZIP archive, as Excel workbooks are"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"PAR1\x15", "a Parquet file"),
    (
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        "an Excel workbook of the old kind",
    ),
    (b"\x1F\x8B\x08", "compressed twice, with gzip inside"),
    (b"\x28\xB5\x2F\xFD", "compressed twice, with zstd inside"),
    (
        b"\x1F\x9D",
        "compressed with compress; gzip and zstd are read",
    ),
    (b"\xFD7zXZ\0", "compressed with xz; gzip and zstd are read"),
    (
        b"\x04\x22\x4D\x18",
        "compressed with lz4; gzip and zstd are read",
    ),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (b"Rar!\x1A", "a RAR archive"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1\0", "an Arrow file"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG\r\n", "an image"),
    (b"\xFF\xD8\xFF", "an image"),
    (b"GIF8", "an image"),
    (b"\x89HDF\r\n", "an HDF5 file"),
];

/// Refuses what is no text, by its first bytes.
pub(super) fn refuse_binary(head: &[u8]) -> Result<(), SourceError> {
    let known = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    let what = match known {
        Some((_, what)) => what,
        None if is_bzip2(head) => "compressed with bzip2; gzip and zstd are read",
        None if head.get(257..262) == Some(b"ustar") => "a tar archive",
        None => return Ok(()),
    };
    Err(SourceError::UnknownFormat(format!("the file is {what}")))
}

fn is_bzip2(head: &[u8]) -> bool {
    head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY")
}

/// Says how to read a file of which `head` is the decoded beginning, or all of it.
pub(super) fn plan(head: &[u8], is_all: bool, claims: &Claims) -> Result<Plan, SourceError> {
    let said = claims.content_type.as_deref().map_or(Said::Nothing, said);
    let wanted = claims.format.or(match said {
        Said::Format(format) => Some(format),
        _ => None,
    });
    let text = &String::from_utf8_lossy(head);
    let start = text.trim_start();
    if start.is_empty() && is_all {
        return empty(wanted.or_else(|| claims.of_name()));
    }
    if is_markup(start) {
        return Err(unknown("the file is HTML or XML"));
    }
    if start.as_bytes().first() == Some(&SEPARATOR) {
        return Ok(Plan::Lines { is_sequence: true });
    }
    let sample = Sample::of(text, is_all);
    if is_json(start) || wanted == Some(Format::JsonLines) {
        if let Some(plan) = json_lines(start, &sample, is_all, wanted)? {
            return Ok(plan);
        }
    } else if wanted.is_none() && claims.of_name() == Some(Format::JsonLines) && sample.json > 0 {
        return Ok(Plan::Lines { is_sequence: false });
    }
    table(head, is_all, claims, wanted, said)
}

fn unknown(message: impl Into<String>) -> SourceError {
    SourceError::UnknownFormat(message.into())
}

fn said(content_type: &str) -> Said {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonl"
        | "application/jsonlines"
        | "application/x-jsonlines"
        | "application/json-lines"
        | "application/json-seq"
        | "text/x-ndjson" => Said::Format(Format::JsonLines),
        "text/csv"
        | "application/csv"
        | "text/x-csv"
        | "application/x-csv"
        | "text/comma-separated-values" => Said::Format(Format::Csv),
        "text/tab-separated-values" => Said::Format(Format::Tsv),
        "text/html"
        | "application/xhtml+xml"
        | "text/xml"
        | "application/xml"
        | "application/json"
        | "application/pdf" => Said::Other,
        other if other.ends_with("+xml") || other.ends_with("+json") => Said::Other,
        other
            if ["image/", "audio/", "video/", "font/"]
                .iter()
                .any(|kind| other.starts_with(kind)) =>
        {
            Said::Other
        }
        _ => Said::Nothing,
    }
}

fn empty(format: Option<Format>) -> Result<Plan, SourceError> {
    match format {
        Some(Format::JsonLines) => Ok(Plan::Lines { is_sequence: false }),
        Some(_) => Err(SourceError::BadTable(
            "the file is empty: it has no header row".into(),
        )),
        None => Err(unknown("the file is empty")),
    }
}

/// HTML or XML. A table's header may begin with `<` as well, `<TICKER>,<DATE>`, but has no end tags.
fn is_markup(start: &str) -> bool {
    const BEGINNINGS: [&str; 5] = ["<!doctype", "<html", "<?xml", "<!--", "<head"];
    let beginning: String = start.chars().take(10).collect();
    let beginning = beginning.to_ascii_lowercase();
    BEGINNINGS.iter().any(|known| beginning.starts_with(known))
        || start.starts_with('<') && (start.contains("</") || start.contains("/>"))
}

/// Whether the text can be the beginning of an object or an array. `[id],[name]` is not.
fn is_json(start: &str) -> bool {
    let inside = |rest: &str| {
        let rest = rest.trim_start();
        let words = ["true", "false", "null"];
        rest.is_empty()
            || rest.starts_with(['{', '[', '"', ']', '-'])
            || rest.starts_with(|first: char| first.is_ascii_digit())
            || words.iter().any(|word| {
                let after = rest.strip_prefix(word).map(|rest| rest.trim_start());
                after.is_some_and(|after| after.starts_with([',', ']']))
            })
    };
    match start.as_bytes().first() {
        Some(b'{') => true,
        Some(b'[') => inside(&start[1..]),
        _ => false,
    }
}

/// The complete lines of a file's beginning.
struct Sample {
    lines: usize,
    /// How many of them are JSON, and how many an object.
    json: usize,
    objects: usize,
    /// What is wrong with the first that is none.
    error: Option<String>,
}

impl Sample {
    /// How many lines are looked at.
    const MOST: usize = 100;

    fn of(text: &str, is_all: bool) -> Sample {
        let mut sample = Sample {
            lines: 0,
            json: 0,
            objects: 0,
            error: None,
        };
        let end = match is_all {
            true => text.len(),
            false => text.rfind(['\r', '\n']).unwrap_or(0),
        };
        let mut at = 0;
        for line in text[..end].split_inclusive(['\r', '\n']) {
            if sample.lines == Sample::MOST {
                break;
            }
            if !line.trim().is_empty() {
                sample.add(line, || line_ends(&text.as_bytes()[..at]) + 1);
            }
            at += line.len();
        }
        sample
    }

    fn add(&mut self, line: &str, number: impl FnOnce() -> u64) {
        self.lines += 1;
        match json::parse_lossy(line.as_bytes()) {
            Ok((value, _)) => {
                self.json += 1;
                self.objects += usize::from(matches!(value, Json::Object(_)));
            }
            Err(error) if self.error.is_none() => {
                self.error = Some(format!("line {}: {error}", number()));
            }
            Err(_) => {}
        }
    }
}

/// JSON Lines, where at least one line is JSON; `None` where it may still be a table.
fn json_lines(
    start: &str,
    sample: &Sample,
    is_all: bool,
    wanted: Option<Format>,
) -> Result<Option<Plan>, SourceError> {
    let says_lines = wanted == Some(Format::JsonLines);
    let says_table = matches!(wanted, Some(Format::Csv | Format::Tsv));
    // One array in one line is a document, unless somebody says that it is a line.
    let is_array = start.starts_with('[') && sample.lines <= 1 && !says_lines;
    // The first line is longer than what is looked at.
    let is_long = sample.lines == 0 && !is_all;
    // Programs that print a document over several lines begin so.
    let first = start.lines().next().unwrap_or_default().trim_end();
    let is_printed = matches!(first, "[" | "{");
    if !is_array && !is_printed && (sample.json > 0 || is_long) {
        let is_sequence = false;
        return match says_table && sample.objects == 0 {
            true => Ok(None),
            false => Ok(Some(Plan::Lines { is_sequence })),
        };
    }
    if says_table && !is_array && !is_printed {
        return Ok(None);
    }
    Err(match &sample.error {
        _ if is_array => unknown("the file is one JSON array; what is read is one record a line"),
        Some(error) if says_lines => unknown(format!("the file is not JSON Lines: {error}")),
        _ => unknown("the file is JSON, but not one record a line"),
    })
}

fn table(
    head: &[u8],
    is_all: bool,
    claims: &Claims,
    wanted: Option<Format>,
    said: Said,
) -> Result<Plan, SourceError> {
    let found = dialect::find(head, is_all, claims, wanted)?;
    let is_table = match wanted {
        Some(_) => true,
        // A name gives the content the benefit of the doubt.
        None if said == Said::Nothing && claims.has_table_name() => {
            found.fitting * 2 >= found.rows && (found.columns > 1 || found.rows > 0)
        }
        None => found.columns > 1 && found.rows > 0 && found.fitting * 2 >= found.rows,
    };
    match is_table {
        true => Ok(Plan::Table(found)),
        false => Err(unknown(
            "the file is neither JSON Lines nor clearly a table; name its format if it is one",
        )),
    }
}
