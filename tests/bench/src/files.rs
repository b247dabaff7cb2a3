//! Generated files of records, in the target folder, and a server for them.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use local_stack::http::{Body, Request, Response, Server};
use local_stack::{Context, Result};

/// How many bytes of a file are read at a time.
const PIECE: usize = 256 * 1024;

/// A format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// A JSON object on each line.
    JsonLines,
}

impl Format {
    /// The extension of a file's name, as the peers' programs expect.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::JsonLines => "jsonl",
        }
    }

    fn write(self, to: &mut impl Write, n: u64) -> std::io::Result<()> {
        let random = mixed(n);
        let city = CITIES[usize::from((random >> 8) as u8) % CITIES.len()];
        let (cents, active) = ((random >> 16) % 1_000_000, random.is_multiple_of(3));
        let (whole, cents) = (cents / 100, cents % 100);
        // One age in twenty is missing.
        let age = (!(random >> 40).is_multiple_of(20)).then_some(18 + (random >> 48) % 70);
        let age = age.map(|age| age.to_string());
        match self {
            Format::Csv => {
                let age = age.unwrap_or_default();
                write!(to, "{n},user{n}@example.com,{age},{city},")?;
                writeln!(to, "{whole}.{cents:02},{active}")
            }
            Format::JsonLines => {
                let age = age.as_deref().unwrap_or("null");
                write!(
                    to,
                    r#"{{"id":{n},"email":"user{n}@example.com","age":{age},"#
                )?;
                write!(to, r#""city":"{city}","balance":{whole}.{cents:02},"#)?;
                writeln!(to, r#""active":{active}}}"#)
            }
        }
    }
}

const CITIES: [&str; 6] = ["Lagos", "Malmö", "Lyon", "Osaka", "Sevilla", "Lima"];

/// A pseudo-random number for each `n`, the same in every run.
fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x ^ (x >> 32)
}

/// Creates a file of at least `bytes` bytes unless the file exists. Returns its path and its number
/// of records.
///
/// # Errors
/// When the file cannot be written.
pub fn make(folder: &Path, format: Format, bytes: u64) -> Result<(PathBuf, u64)> {
    let path = folder.join(format!("people-{bytes}.{}", format.ending()));
    let count = path.with_extension(format!("{}.count", format.ending()));
    if let Ok(text) = fs::read_to_string(&count)
        && let Ok(records) = text.parse()
        && path.is_file()
    {
        return Ok((path, records));
    }
    fs::create_dir_all(folder).context("cannot create a folder")?;
    let records = write(&path, format, bytes).context("cannot write a file of records")?;
    fs::write(&count, records.to_string()).context("cannot write a file of records")?;
    Ok((path, records))
}

fn write(path: &Path, format: Format, bytes: u64) -> std::io::Result<u64> {
    let mut file = BufWriter::with_capacity(PIECE, File::create(path)?);
    if format == Format::Csv {
        file.write_all(b"id,email,age,city,balance,active\n")?;
    }
    let (mut written, mut records) = (0, 0);
    let mut line = Vec::new();
    while written < bytes {
        records += 1;
        line.clear();
        format.write(&mut line, records)?;
        written += line.len() as u64;
        file.write_all(&line)?;
    }
    file.flush()?;
    Ok(records)
}

/// Serves the files of a folder by name, in pieces.
///
/// # Errors
/// When no port is free.
pub fn serve(folder: &Path) -> Result<Server> {
    let folder = folder.to_owned();
    Server::start(0, move |request: &Request| {
        let name = Path::new(&request.path).file_name();
        match name.map(|name| File::open(folder.join(name))) {
            Some(Ok(file)) => Response {
                status: 200,
                headers: vec![("content-type".to_owned(), content_type(&request.path))],
                body: Body::Pieces(Box::new(pieces(file))),
            },
            _ => Response::new(404, "text/plain", "no such file"),
        }
    })
}

fn content_type(path: &str) -> String {
    let is_csv = Path::new(path)
        .extension()
        .is_some_and(|ending| ending == "csv");
    if is_csv {
        "text/csv"
    } else {
        "application/jsonl"
    }
    .to_owned()
}

fn pieces(mut file: File) -> impl Iterator<Item = Vec<u8>> + Send {
    std::iter::from_fn(move || {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).ok()?;
        piece.truncate(length);
        (length > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn make_returns_the_number_of_records() {
        let folder = std::env::temp_dir().join(format!("bench-files-{}", std::process::id()));
        for (format, heads) in [(Format::Csv, 1), (Format::JsonLines, 0)] {
            let (path, records) = make(&folder, format, 20_000).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.len() > 20_000 && text.len() < 20_500);
            assert_eq!(text.lines().count() as u64, records + heads);
            assert_eq!(make(&folder, format, 20_000).unwrap(), (path, records));
        }
        let lines = fs::read_to_string(folder.join("people-20000.jsonl")).unwrap();
        for line in lines.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(record["balance"].is_f64() && record["age"].as_u64() != Some(0));
        }
        let _ = fs::remove_dir_all(&folder);
    }
}
