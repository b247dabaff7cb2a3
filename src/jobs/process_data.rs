//! `process_data`: a statistical profile of any JSON, or of a table or JSON Lines file by its URL.
//!
//! What it reads and how is in `docs/PROFILES.md`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fetch::{Download, FetchError, Fetcher};
use crate::json::{Json, Object};
use crate::profile::records::{
    Claims, Format, MAX_RECORD_BYTES, RecordErrors, Records, SourceError, Summary, is_encoding,
};
use crate::profile::{Profile, Profiler};
use crate::tasks::context::TaskContext;
use crate::tasks::job::{Job, JobError};
use crate::tasks::retry::RetryPolicy;

/// The most bytes of a source, decompressed. At the 20 MB a second that a file store gives easily,
/// that is within the 300 s of one invocation.
const MAX_SOURCE: u64 = 4 * 1024 * 1024 * 1024;

/// Profiles what is posted, or what it names.
pub struct ProcessData {
    fetcher: Fetcher,
}

/// What to profile.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(try_from = "Json")]
#[schema(as = ProcessDataInput, value_type = SourceOrData)]
pub struct Input(Json);

impl TryFrom<Json> for Input {
    type Error = &'static str;

    /// Refuses a source with an option that no file has.
    fn try_from(input: Json) -> Result<Input, &'static str> {
        if let Some(source) = input.as_object().and_then(source_of) {
            source?;
        }
        Ok(Input(input))
    }
}

/// Any JSON, or a file by its URL.
#[allow(dead_code, reason = "it describes the input in the OpenAPI document")]
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum SourceOrData {
    /// A file to read.
    Source(SourceInput),
    /// Any JSON.
    #[schema(value_type = serde_json::Value)]
    Data(Json),
}

/// A file to profile while it is read. An object with any other key is data.
#[allow(dead_code, reason = "as above")]
#[derive(Debug, ToSchema)]
#[schema(example = json!({"source_url": "https://example.com/people.csv"}))]
pub struct SourceInput {
    /// Where the file is. It may be compressed with gzip or zstd.
    pub source_url: String,
    /// Its format, where neither its content type nor its content tells.
    #[schema(inline)]
    pub format: Option<SourceFormat>,
    /// Its encoding, as the Encoding Standard labels it, where the content type names none.
    #[schema(example = "windows-1252")]
    pub encoding: Option<String>,
    /// What separates a table's cells: one ASCII character. By default comma, semicolon, tab and bar
    /// are tried.
    #[schema(example = ";", min_length = 1, max_length = 1)]
    pub delimiter: Option<String>,
    /// The decimal mark of a table's numbers. By default a comma only where semicolons separate the
    /// cells and its use is clear, else a point.
    #[schema(inline)]
    pub decimal: Option<DecimalMark>,
    /// What stands for a missing value in a table, beside an empty cell. By default the words that
    /// pandas takes for one, as `NA` and `null`; `[]` means none.
    pub nulls: Option<Vec<String>>,
}

/// A decimal mark.
#[allow(dead_code, reason = "as above")]
#[derive(Debug, ToSchema)]
pub enum DecimalMark {
    /// `1.5`
    #[schema(rename = ".")]
    Point,
    /// `1,5`
    #[schema(rename = ",")]
    Comma,
}

/// The format of a file of records.
#[allow(dead_code, reason = "as above")]
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SourceFormat {
    /// Cells separated by commas, semicolons, tabs or bars.
    Csv,
    /// Cells separated by tabs.
    Tsv,
    /// A JSON value on each line, or after each record separator.
    Jsonl,
}

/// What a profile says, and where its records came from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProcessDataOutput)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    #[serde(flatten)]
    profile: Profile,
}

/// The file that was profiled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProfileSource)]
struct Source {
    /// Its URL after redirects.
    url: String,
    /// `csv`, `tsv`, `jsonl` or `json-seq`.
    format: &'static str,
    /// `gzip` or `zstd`, where the file itself is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<&'static str>,
    /// How its text is encoded, by the name in the Encoding Standard.
    encoding: &'static str,
    /// What separates a table's cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    delimiter: Option<char>,
    /// Its size as it is downloaded.
    bytes: u64,
    /// What was decided, or mended, that nobody asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    notes: Vec<String>,
    /// Lines or rows that are no records.
    errors: RecordErrors,
}

impl ProcessData {
    /// Reads sources with `fetcher`.
    pub fn new(fetcher: Fetcher) -> ProcessData {
        ProcessData { fetcher }
    }

    /// Profiles a file while it arrives, in bounded memory.
    async fn profile_source(
        &self,
        url: &str,
        claims: Claims,
        context: &TaskContext,
    ) -> Result<Output, JobError> {
        let mut download = self
            .fetcher
            .in_trace(context.trace())
            .open(url, MAX_SOURCE)
            .await
            .map_err(fetch_error)?;
        succeeded(&download)?;
        let claims = Claims {
            content_type: download.content_type.clone(),
            name: download.url.clone(),
            ..claims
        };
        let mut records = Records::with_limits(claims, MAX_RECORD_BYTES, MAX_SOURCE);
        let mut profiler = Profiler::new();
        let (mut bytes, mut count) = (0, 0);
        while let Some(chunk) = download.chunk().await.map_err(fetch_error)? {
            bytes += chunk.len() as u64;
            let fed = records.feed(&chunk, |record| {
                profiler.record(record);
                count += 1;
            });
            fed.map_err(source_error)?;
            context.progress(bytes, download.content_length, format!("{count} records"));
            // A fast source must not keep the heartbeat from running.
            tokio::task::yield_now().await;
        }
        let summary = records.finish(|record| profiler.record(record));
        let summary = summary.map_err(source_error)?;
        // A table without rows has columns all the same.
        if summary.records == 0 {
            profiler.announce(summary.columns.iter().map(String::as_str));
        }
        Ok(Output {
            source: Some(Source::new(download.url, bytes, summary)),
            profile: profiler.finish(),
        })
    }
}

impl Source {
    fn new(url: String, bytes: u64, summary: Summary) -> Source {
        Source {
            url,
            format: summary.format,
            compression: summary.compression,
            encoding: summary.encoding,
            delimiter: summary.delimiter,
            bytes,
            notes: summary.notes,
            errors: summary.errors,
        }
    }
}

impl Job for ProcessData {
    const NAME: &'static str = "process_data";
    const ALIASES: &'static [&'static str] = &["celery_config.process_data"];
    type Input = Input;
    type Output = Output;

    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            base: Duration::from_secs(5),
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, Input(input): Input, context: &TaskContext) -> Result<Output, JobError> {
        let source = input.as_object().and_then(source_of).transpose();
        match source.map_err(|wrong| JobError::permanent("InvalidInput", wrong))? {
            Some((url, claims)) => self.profile_source(url, claims, context).await,
            None => {
                let mut profiler = Profiler::new();
                profiler.document(&input);
                Ok(Output {
                    source: None,
                    profile: profiler.finish(),
                })
            }
        }
    }
}

/// The keys of a [`SourceInput`].
const SOURCE_KEYS: [&str; 6] = [
    "source_url",
    "format",
    "encoding",
    "delimiter",
    "decimal",
    "nulls",
];

/// The source that an input names: `{"source_url": "…"}`, perhaps with more of [`SOURCE_KEYS`]. An
/// object with any other key is data, whatever its `source_url` says.
fn source_of(input: &Object) -> Option<Result<(&str, Claims), &'static str>> {
    let url = input.get("source_url")?.as_str()?;
    if input.keys().any(|key| !SOURCE_KEYS.contains(&key.as_str())) {
        return None;
    }
    Some(claims(input).map(|claims| (url, claims)))
}

/// What the input says of the file; `null` says nothing.
// One check for each option.
fn claims(input: &Object) -> Result<Claims, &'static str> {
    let said = |key: &str| input.get(key).filter(|value| !value.is_null());
    let format = match said("format").map(Json::as_str) {
        None => None,
        Some(Some("csv")) => Some(Format::Csv),
        Some(Some("tsv")) => Some(Format::Tsv),
        Some(Some("jsonl")) => Some(Format::JsonLines),
        Some(_) => return Err("the format is csv, tsv or jsonl"),
    };
    let encoding = match said("encoding").map(Json::as_str) {
        None => None,
        Some(Some(label)) if is_encoding(label) => Some(label.to_owned()),
        Some(_) => return Err("the encoding is a label of the Encoding Standard, as utf-8"),
    };
    let delimiter = match said("delimiter").map(|value| value.as_str().map(str::as_bytes)) {
        None => None,
        Some(Some([byte])) if byte.is_ascii() && !b"\"\r\n".contains(byte) => Some(*byte),
        Some(_) => return Err("the delimiter is one ASCII character"),
    };
    let decimal = match said("decimal").map(Json::as_str) {
        None => None,
        Some(Some(".")) => Some(b'.'),
        Some(Some(",")) => Some(b','),
        Some(_) => return Err("the decimal mark is . or ,"),
    };
    let words = said("nulls").map(|words| {
        let words = words.as_array()?.iter();
        words.map(|word| word.as_str().map(str::to_owned)).collect()
    });
    let nulls: Option<Vec<String>> = match words {
        None => None,
        Some(None) => return Err("nulls is a list of strings"),
        Some(words) => words,
    };
    Ok(Claims {
        format,
        encoding,
        delimiter,
        decimal,
        nulls,
        ..Claims::default()
    })
}

fn source_error(error: SourceError) -> JobError {
    JobError::permanent(error.kind(), error.to_string())
}

/// A source that has trouble may be well later; one that refuses will refuse again.
fn succeeded(download: &Download) -> Result<(), JobError> {
    let message = format!("the source answered with status {}", download.status);
    match download.status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500.. => {
            let error = JobError::transient("SourceFailed", message);
            Err(match download.retry_after {
                Some(wait) => error.retry_after(wait),
                None => error,
            })
        }
        _ => Err(JobError::permanent("SourceRefused", message)),
    }
}

fn fetch_error(error: FetchError) -> JobError {
    match error.is_transient() {
        true => JobError::transient(error.kind(), error.to_string()),
        false => JobError::permanent(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests;
