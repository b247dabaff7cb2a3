//! Files to read, and what comes of them.

use std::io::Write as _;

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{EncodeV2, ZstdEncoder};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::records::*;
use super::*;

/// The records of a file as JSON, and what is told of the file.
pub(super) type Read = Result<(Vec<String>, Summary), SourceError>;

/// A file that a server calls `content_type`.
pub(super) fn sent_as(content_type: &str) -> Claims {
    Claims {
        content_type: Some(content_type.to_owned()),
        ..Claims::default()
    }
}

/// A file of which only the name tells anything.
pub(super) fn named(name: &str) -> Claims {
    Claims {
        name: format!("https://example.com/exports/{name}?version=3"),
        content_type: Some("application/octet-stream".to_owned()),
        ..Claims::default()
    }
}

pub(super) fn csv() -> Claims {
    sent_as("text/csv")
}

pub(super) fn jsonl() -> Claims {
    sent_as("application/jsonl")
}

pub(super) fn read_chunks(claims: Claims, limit: usize, chunks: &[&[u8]]) -> Read {
    let mut read = Vec::new();
    let mut records = Records::with_limits(claims, limit, 1 << 30);
    for chunk in chunks {
        records.feed(chunk, |record| read.push(record.to_string()))?;
    }
    let summary = records.finish(|record| read.push(record.to_string()))?;
    assert_eq!(summary.records, read.len() as u64);
    Ok((read, summary))
}

pub(super) fn read_file(claims: Claims, file: impl AsRef<[u8]>) -> Read {
    read_chunks(claims, MAX_RECORD_BYTES, &[file.as_ref()])
}

/// The records of a file that can be read without an error.
pub(super) fn records(claims: Claims, file: impl AsRef<[u8]>) -> Vec<String> {
    let (records, summary) = read_file(claims, file).unwrap();
    assert_eq!(summary.errors, RecordErrors::default());
    records
}

/// The profile of a file.
pub(super) fn profile_of(claims: Claims, file: impl AsRef<[u8]>) -> Profile {
    let mut profiler = Profiler::new();
    let mut records = Records::new(claims);
    let fed = records.feed(file.as_ref(), |record| profiler.record(record));
    fed.unwrap();
    let summary = records.finish(|record| profiler.record(record)).unwrap();
    if summary.records == 0 {
        profiler.announce(summary.columns.iter().map(String::as_str));
    }
    profiler.finish()
}

/// Why a file cannot be read.
pub(super) fn failure(claims: Claims, file: impl AsRef<[u8]>) -> (&'static str, String) {
    match read_file(claims, file) {
        Err(error) => (error.kind(), error.to_string()),
        Ok((records, summary)) => panic!("{records:?} {summary:?}"),
    }
}

/// That it cannot be read, for this reason.
#[track_caller]
pub(super) fn fails(claims: Claims, file: impl AsRef<[u8]>, kind: &str, words: &str) {
    let (found, message) = failure(claims, file);
    assert_eq!(found, kind, "{message}");
    assert!(message.contains(words), "{message}");
}

pub(super) fn lines(errors: &RecordErrors) -> Vec<u64> {
    errors.first.iter().map(|error| error.line).collect()
}

pub(super) fn gzip(file: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(file.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(file: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ZstdEncoder::new(3);
    let mut room = vec![0; file.as_ref().len() + 1_000];
    let mut output = WriteBuffer::new_initialized(&mut room);
    let mut input = PartialBuffer::new(file.as_ref());
    encoder.encode(&mut input, &mut output).unwrap();
    assert!(input.unwritten().is_empty() && encoder.finish(&mut output).unwrap());
    output.written().to_vec()
}

pub(super) fn utf_16_le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(super) fn utf_16_be(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}
