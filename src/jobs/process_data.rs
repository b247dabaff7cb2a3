//! `process_data`: a statistical profile of any JSON, or of a CSV or JSON Lines file by its URL.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fetch::{Download, FetchError, Fetcher};
use crate::json::{Json, Object};
use crate::profile::records::{Format, RecordErrors, Records};
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
#[serde(transparent)]
#[schema(as = ProcessDataInput, value_type = SourceOrData)]
pub struct Input(Json);

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
    /// Where the file is.
    pub source_url: String,
    /// Its format, where neither its type, its name nor its start tells.
    #[schema(inline)]
    pub format: Option<SourceFormat>,
}

/// The format of a file of records.
#[allow(dead_code, reason = "as above")]
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SourceFormat {
    /// Values separated by commas or semicolons.
    Csv,
    /// Values separated by tabs.
    Tsv,
    /// A JSON value on each line.
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
    format: &'static str,
    bytes: u64,
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
        named: Option<Format>,
        context: &TaskContext,
    ) -> Result<Output, JobError> {
        let mut download = self
            .fetcher
            .open(url, MAX_SOURCE)
            .await
            .map_err(fetch_error)?;
        succeeded(&download)?;
        let mut profiler = Profiler::new();
        let (mut bytes, mut count) = (0, 0);
        let mut reader: Option<(Format, Records)> = None;
        while let Some(chunk) = download.chunk().await.map_err(fetch_error)? {
            bytes += chunk.len() as u64;
            let (_, records) = match &mut reader {
                Some(reader) => reader,
                None => {
                    let format = named.or_else(|| detect(&download, &chunk));
                    let format = format.ok_or_else(unknown_format)?;
                    reader.insert((format, Records::new(format)))
                }
            };
            records.feed(&chunk, |record| {
                profiler.record(record);
                count += 1;
            });
            context.progress(bytes, download.content_length, format!("{count} records"));
            // A fast source must not keep the heartbeat from running.
            tokio::task::yield_now().await;
        }
        let (format, records) = reader
            .or_else(|| {
                named
                    .or_else(|| detect(&download, b""))
                    .map(|f| (f, Records::new(f)))
            })
            .ok_or_else(unknown_format)?;
        let errors = records.finish(|record| profiler.record(record));
        let source = Source {
            url: download.url,
            format: name_of(format),
            bytes,
            errors,
        };
        Ok(Output {
            source: Some(source),
            profile: profiler.finish(),
        })
    }
}

impl Job for ProcessData {
    const NAME: &'static str = "process_data";
    type Input = Input;
    type Output = Output;

    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            base: Duration::from_secs(5),
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, Input(input): Input, context: &TaskContext) -> Result<Output, JobError> {
        match input.as_object().and_then(source_of).transpose()? {
            Some((url, format)) => self.profile_source(url, format, context).await,
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

/// The source that an input names: `{"source_url": "…"}`, perhaps with its `format`. An object with
/// any other key is data, whatever its `source_url` says.
fn source_of(input: &Object) -> Option<Result<(&str, Option<Format>), JobError>> {
    let url = input.get("source_url")?.as_str()?;
    if input
        .keys()
        .any(|key| key != "source_url" && key != "format")
    {
        return None;
    }
    let format = match input.get("format").map(Json::as_str) {
        None => Ok(None),
        Some(Some("csv")) => Ok(Some(Format::CSV)),
        Some(Some("tsv")) => Ok(Some(Format::TSV)),
        Some(Some("jsonl")) => Ok(Some(Format::JsonLines)),
        Some(_) => Err(JobError::permanent(
            "InvalidInput",
            "the format is csv, tsv or jsonl",
        )),
    };
    Some(format.map(|format| (url, format)))
}

fn detect(download: &Download, start: &[u8]) -> Option<Format> {
    Format::detect(download.content_type.as_deref(), &download.url, start)
}

fn name_of(format: Format) -> &'static str {
    match format {
        Format::JsonLines => "jsonl",
        Format::TSV => "tsv",
        Format::Csv { .. } => "csv",
    }
}

fn unknown_format() -> JobError {
    let message = "the source is neither JSON Lines nor CSV; name its format if it is";
    JobError::permanent("UnknownFormat", message)
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
mod tests {
    use super::*;
    use crate::json;

    fn source(input: &str) -> Option<Result<(String, Option<Format>), String>> {
        let input = json::parse(input.as_bytes()).unwrap();
        let found = source_of(input.as_object().unwrap())?;
        let owned = found.map(|(url, format)| (url.to_owned(), format));
        Some(owned.map_err(|error| error.to_string()))
    }

    #[test]
    fn only_an_object_of_a_source_is_a_source() {
        let csv = source(r#"{"source_url":"http://x/","format":"csv"}"#);
        assert_eq!(csv, Some(Ok(("http://x/".to_owned(), Some(Format::CSV)))));
        assert_eq!(
            source(r#"{"source_url":"x"}"#),
            Some(Ok(("x".to_owned(), None)))
        );
        assert!(
            source(r#"{"source_url":"x","format":"xml"}"#)
                .unwrap()
                .is_err()
        );
        for data in [
            r#"{"source_url":5}"#,
            r#"{"source_url":"x","other":1}"#,
            "{}",
        ] {
            assert_eq!(source(data), None, "{data}");
        }
    }

    #[tokio::test]
    async fn a_posted_object_is_profiled() {
        let fetcher = Fetcher::public(Default::default(), Default::default());
        let context = TaskContext::detached(uuid::Uuid::nil());
        let input = json::parse(br#"{"values":[1,2,3]}"#).unwrap();
        let output = ProcessData::new(fetcher)
            .run(Input(input), &context)
            .await
            .unwrap();
        assert_eq!(
            output.profile.field("values[]").map(|field| field.count),
            Some(3)
        );
        assert!(
            serde_json::to_string(&output)
                .unwrap()
                .starts_with(r#"{"records":"#)
        );
    }
}
