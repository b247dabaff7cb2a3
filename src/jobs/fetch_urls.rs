//! `fetch_urls`: fetches many URLs concurrently and reports on each URL.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::TaskErrorSchema;
use crate::fetch::{FetchError, Fetched, Fetcher};
use crate::json::{self, Json};
use crate::tasks::context::TaskContext;
use crate::tasks::job::{Job, JobError};
use crate::tasks::record::TaskError;

/// The most URLs of one task: the reports must fit a task's result.
const MAX_URLS: usize = 10_000;
/// The largest body in a report, in bytes. A larger body is left out.
const MAX_BODY: usize = 64 * 1024;
/// Bytes of all bodies in a result. The rest of a result is for the reports.
const MAX_BODIES: usize = 2 * 1024 * 1024;
/// The limits of one checkpoint: its reports, its bytes of bodies, and the time since the last
/// checkpoint. URLs after the last checkpoint are fetched again if the worker's time ends.
const CHECKPOINT_REPORTS: usize = 250;
const CHECKPOINT_BYTES: usize = 256 * 1024;
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// Fetches many URLs concurrently, bounded in total and per host.
pub struct FetchUrls {
    fetcher: Fetcher,
}

/// The URLs to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FetchUrlsInput, example = json!({"urls": ["https://example.com/1.json", "https://example.com/2.json"]}))]
pub struct Input {
    /// The URLs, at most 10,000.
    #[schema(max_items = 10000)]
    #[serde(deserialize_with = "bounded")]
    urls: Vec<String>,
}

/// Refuses more than [`MAX_URLS`] URLs at the submission.
fn bounded<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let urls = Vec::deserialize(from)?;
    match urls.len() {
        count if count > MAX_URLS => Err(D::Error::custom(format_args!(
            "{count} URLs are more than the {MAX_URLS} of one task"
        ))),
        _ => Ok(urls),
    }
}

/// A report on each URL.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FetchUrlsOutput)]
pub struct Output {
    /// The number of URLs that answered, with any status.
    fetched: usize,
    /// The number of URLs that did not answer.
    failed: usize,
    /// One report for each URL, in the order of the input.
    results: Vec<Report>,
}

/// The report on one URL.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = UrlReport)]
struct Report {
    /// The URL, as in the input.
    #[serde(default)]
    #[schema(required = true)]
    url: String,
    /// The answer's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// The answer's JSON, if the answer is JSON and fits the result.
    #[schema(value_type = Option<serde_json::Value>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Json>,
    /// Whether the answer's JSON was left out because of its size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    omitted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
}

/// The reports so far, and the reports that no checkpoint holds yet.
struct Reports {
    /// By the index of the URL in the input.
    all: Vec<Option<Report>>,
    done: usize,
    /// The remaining bytes for bodies.
    room: usize,
    /// The indexes of the unsaved reports.
    unsaved: Vec<usize>,
    unsaved_bytes: usize,
    saved_at: Instant,
    checkpoints: u32,
}

impl FetchUrls {
    /// Fetches with `fetcher`, which restricts addresses and bounds concurrency.
    pub fn new(fetcher: Fetcher) -> FetchUrls {
        FetchUrls { fetcher }
    }
}

impl Job for FetchUrls {
    const NAME: &'static str = "fetch_urls";
    type Input = Input;
    type Output = Output;

    async fn run(&self, input: Input, context: &TaskContext) -> Result<Output, JobError> {
        let count = input.urls.len();
        let mut reports = Reports::resumed(count, context)?;
        let remaining: Vec<usize> = (0..count)
            .filter(|index| reports.all[*index].is_none())
            .collect();
        let urls = remaining.iter().map(|index| &input.urls[*index]);
        let mut answers = self.fetcher.in_trace(context.trace()).fetch_many(urls);
        while let Some((at, answer)) = answers.next().await {
            if let Some(index) = remaining.get(at) {
                reports.add(*index, answer);
                reports.save_if_due(context).await?;
                context.progress(reports.done as u64, Some(count as u64), "");
            }
        }
        drop(answers);
        Ok(reports.output(input.urls))
    }
}

impl Reports {
    /// The reports of earlier attempts, from their checkpoints.
    fn resumed(count: usize, context: &TaskContext) -> Result<Reports, JobError> {
        let mut reports = Reports {
            all: Vec::new(),
            done: 0,
            room: MAX_BODIES,
            unsaved: Vec::new(),
            unsaved_bytes: 0,
            saved_at: Instant::now(),
            checkpoints: 0,
        };
        reports.all.resize_with(count, || None);
        for (number, saved) in context.saved::<Vec<(usize, Report)>>()? {
            reports.checkpoints = reports.checkpoints.max(number + 1);
            for (index, report) in saved {
                let kept = report.json.as_ref().and(report.bytes).unwrap_or(0);
                reports.room = reports.room.saturating_sub(kept);
                if let Some(free @ None) = reports.all.get_mut(index) {
                    *free = Some(report);
                    reports.done += 1;
                }
            }
        }
        Ok(reports)
    }

    fn add(&mut self, index: usize, answer: Result<Fetched, FetchError>) {
        let before = self.room;
        let report = report_of(answer, &mut self.room);
        self.unsaved_bytes += before - self.room;
        self.unsaved.push(index);
        self.done += 1;
        self.all[index] = Some(report);
    }

    /// Saves the unsaved reports as a checkpoint, if a limit of a checkpoint is reached.
    async fn save_if_due(&mut self, context: &TaskContext) -> Result<(), JobError> {
        let is_due = self.unsaved.len() >= CHECKPOINT_REPORTS
            || self.unsaved_bytes >= CHECKPOINT_BYTES
            || self.saved_at.elapsed() >= CHECKPOINT_EVERY;
        if !is_due {
            return Ok(());
        }
        let checkpoint: Vec<(usize, &Report)> = self
            .unsaved
            .iter()
            .filter_map(|index| Some((*index, self.all[*index].as_ref()?)))
            .collect();
        context.save(self.checkpoints, &checkpoint).await?;
        self.checkpoints += 1;
        self.unsaved.clear();
        self.unsaved_bytes = 0;
        self.saved_at = Instant::now();
        Ok(())
    }

    fn output(self, urls: Vec<String>) -> Output {
        let named = self.all.into_iter().zip(urls).map(|(report, url)| Report {
            url,
            ..report.unwrap_or_default()
        });
        let results: Vec<Report> = named.collect();
        let failed = results
            .iter()
            .filter(|report| report.error.is_some())
            .count();
        Output {
            fetched: results.len() - failed,
            failed,
            results,
        }
    }
}

/// The report on an answer. The body is kept if `room` bytes are enough.
fn report_of(answer: Result<Fetched, FetchError>, room: &mut usize) -> Report {
    let fetched = match answer {
        Ok(fetched) => fetched,
        Err(error) => {
            let error = TaskError::new(error.kind(), error.to_string());
            return Report {
                error: Some(error),
                ..Report::default()
            };
        }
    };
    let bytes = fetched.body.len();
    let json = json::parse(&fetched.body).ok().filter(Json::is_finite);
    let fits = bytes <= MAX_BODY.min(*room);
    if fits && json.is_some() {
        *room -= bytes;
    }
    Report {
        status: Some(fetched.status),
        content_type: fetched.content_type,
        bytes: Some(bytes),
        omitted: json.is_some() && !fits,
        json: json.filter(|_| fits),
        ..Report::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn fetched(body: &str) -> Result<Fetched, FetchError> {
        let content_type = Some("application/json".to_owned());
        let body = Bytes::copy_from_slice(body.as_bytes());
        Ok(Fetched {
            retry_after: None,
            url: String::new(),
            status: 200,
            content_type,
            body,
        })
    }

    #[test]
    fn bodies_are_kept_until_the_room_is_used_up() {
        let mut room = 10;
        let first = report_of(fetched(r#"{"a":1}"#), &mut room);
        assert_eq!(
            (first.json.map(|json| json.to_string()).as_deref(), room),
            (Some(r#"{"a":1}"#), 3)
        );
        let second = report_of(fetched(r#"{"a":1}"#), &mut room);
        assert!(second.omitted && second.json.is_none());
        let text = report_of(fetched("hello, this is text"), &mut room);
        assert!(!text.omitted && text.json.is_none());
        assert_eq!(text.bytes, Some(19));
    }

    #[test]
    fn a_report_on_a_failure_has_the_kind_of_the_error() {
        let report = report_of(Err(FetchError::Timeout), &mut 0);
        assert_eq!(
            report.error.map(|error| error.kind).as_deref(),
            Some("timeout")
        );
    }
}
