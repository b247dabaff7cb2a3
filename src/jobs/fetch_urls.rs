//! `fetch_urls`: fetches many URLs at once and reports on each.

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

/// The most URLs of one task: their reports must fit a task's result.
const MAX_URLS: usize = 10_000;
/// Bytes of one answer that are kept in its report; the body of a larger one is left out.
const MAX_BODY: usize = 64 * 1024;
/// Bytes of all answers together that are kept. The rest of a result is for the reports.
const MAX_BODIES: usize = 2 * 1024 * 1024;
/// How many reports are saved together at most, how many bytes of answers, and how often at least:
/// what is not saved when the worker's time is over is fetched again.
const PIECE_REPORTS: usize = 250;
const PIECE_BYTES: usize = 256 * 1024;
const PIECE_EVERY: Duration = Duration::from_secs(5);

/// Fetches many URLs concurrently, bounded in total and per host.
pub struct FetchUrls {
    fetcher: Fetcher,
}

/// What to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FetchUrlsInput, example = json!({"urls": ["https://example.com/1.json", "https://example.com/2.json"]}))]
pub struct Input {
    /// The URLs, at most 10,000.
    #[schema(max_items = 10000)]
    #[serde(deserialize_with = "bounded")]
    urls: Vec<String>,
}

/// At most [`MAX_URLS`] URLs, so that a longer list is refused at its submission.
fn bounded<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let urls = Vec::deserialize(from)?;
    match urls.len() {
        count if count > MAX_URLS => Err(D::Error::custom(format_args!(
            "{count} URLs are more than the {MAX_URLS} of one task"
        ))),
        _ => Ok(urls),
    }
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FetchUrlsOutput)]
pub struct Output {
    /// How many URLs answered, whatever their status.
    fetched: usize,
    /// How many did not.
    failed: usize,
    /// One report for each URL, in the order of the input.
    results: Vec<Report>,
}

/// What came of one URL.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = UrlReport)]
struct Report {
    /// The URL as it was given.
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
    /// The answer's JSON, where it is JSON and there is room for it.
    #[schema(value_type = Option<serde_json::Value>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<Json>,
    /// Whether the answer's JSON was left out for its size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    omitted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskErrorSchema>)]
    error: Option<TaskError>,
}

/// The reports so far, and what of them is saved.
struct Reports {
    /// By the place of the URL in the input.
    all: Vec<Option<Report>>,
    done: usize,
    /// Bytes of answers that may still be kept.
    room: usize,
    /// The places whose reports are not saved yet.
    unsaved: Vec<usize>,
    unsaved_bytes: usize,
    saved_at: Instant,
    pieces: u32,
}

impl FetchUrls {
    /// Fetches with `fetcher`, which bounds what may be fetched and how much at once.
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
        let left: Vec<usize> = (0..count)
            .filter(|place| reports.all[*place].is_none())
            .collect();
        let urls = left.iter().map(|place| &input.urls[*place]);
        let mut answers = self.fetcher.fetch_many(urls);
        while let Some((at, answer)) = answers.next().await {
            if let Some(place) = left.get(at) {
                reports.add(*place, answer);
                reports.save_if_due(context).await?;
                context.progress(reports.done as u64, Some(count as u64), "");
            }
        }
        drop(answers);
        Ok(reports.output(input.urls))
    }
}

impl Reports {
    /// What earlier attempts have saved.
    fn resumed(count: usize, context: &TaskContext) -> Result<Reports, JobError> {
        let mut reports = Reports {
            all: Vec::new(),
            done: 0,
            room: MAX_BODIES,
            unsaved: Vec::new(),
            unsaved_bytes: 0,
            saved_at: Instant::now(),
            pieces: 0,
        };
        reports.all.resize_with(count, || None);
        for (piece, saved) in context.saved::<Vec<(usize, Report)>>()? {
            reports.pieces = reports.pieces.max(piece + 1);
            for (place, report) in saved {
                let kept = report.json.as_ref().and(report.bytes).unwrap_or(0);
                reports.room = reports.room.saturating_sub(kept);
                if let Some(free @ None) = reports.all.get_mut(place) {
                    *free = Some(report);
                    reports.done += 1;
                }
            }
        }
        Ok(reports)
    }

    fn add(&mut self, place: usize, answer: Result<Fetched, FetchError>) {
        let before = self.room;
        let report = report_of(answer, &mut self.room);
        self.unsaved_bytes += before - self.room;
        self.unsaved.push(place);
        self.done += 1;
        self.all[place] = Some(report);
    }

    /// Saves what is not saved yet, where that is much or old enough.
    async fn save_if_due(&mut self, context: &TaskContext) -> Result<(), JobError> {
        let is_due = self.unsaved.len() >= PIECE_REPORTS
            || self.unsaved_bytes >= PIECE_BYTES
            || self.saved_at.elapsed() >= PIECE_EVERY;
        if !is_due {
            return Ok(());
        }
        let piece: Vec<(usize, &Report)> = self
            .unsaved
            .iter()
            .filter_map(|place| Some((*place, self.all[*place].as_ref()?)))
            .collect();
        context.save(self.pieces, &piece).await?;
        self.pieces += 1;
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

/// The report on an answer, its body kept while there is `room` for it.
fn report_of(answer: Result<Fetched, FetchError>, room: &mut usize) -> Report {
    let fetched = match answer {
        Ok(fetched) => fetched,
        Err(error) => {
            let error = TaskError {
                kind: error.kind().to_owned(),
                message: error.to_string(),
            };
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
            url: String::new(),
            status: 200,
            content_type,
            body,
        })
    }

    #[test]
    fn bodies_are_kept_while_there_is_room() {
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
    fn a_failure_is_told_with_its_kind() {
        let report = report_of(Err(FetchError::Timeout), &mut 0);
        assert_eq!(
            report.error.map(|error| error.kind).as_deref(),
            Some("timeout")
        );
    }
}
