//! `fetch_urls`: fetches many URLs at once and reports on each.

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::fetch::{FetchError, Fetched, Fetcher};
use crate::json::{self, Json};
use crate::store::tasks::MAX_RESULT;
use crate::tasks::context::TaskContext;
use crate::tasks::job::{Job, JobError};
use crate::tasks::result::TaskError;

/// The most URLs of one task: their reports must fit the task's record.
const MAX_URLS: usize = 2_000;
/// Bytes of one answer that are kept in its report; the body of a larger one is left out.
const MAX_BODY: usize = 64 * 1024;
/// Bytes of all answers together that are kept. The rest of a record is for the reports.
const MAX_BODIES: usize = MAX_RESULT / 2;

/// Fetches many URLs concurrently, bounded in total and per host.
pub struct FetchUrls {
    fetcher: Fetcher,
}

/// What to fetch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    urls: Vec<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Output {
    /// How many URLs answered, whatever their status.
    fetched: usize,
    /// How many did not.
    failed: usize,
    /// One report for each URL, in the order of the input.
    results: Vec<Report>,
}

/// What came of one URL.
#[derive(Debug, Default, Serialize)]
struct Report {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// The answer's JSON, where it is JSON and there is room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Json>,
    /// Whether the answer's JSON was left out for its size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    omitted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<TaskError>,
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

    async fn run(&self, input: Input, _: &TaskContext) -> Result<Output, JobError> {
        if input.urls.len() > MAX_URLS {
            let message = format!(
                "{} URLs are more than the {MAX_URLS} of one task",
                input.urls.len()
            );
            return Err(JobError::permanent("InvalidInput", message));
        }
        let mut reports: Vec<Report> = Vec::new();
        reports.resize_with(input.urls.len(), Report::default);
        let mut room = MAX_BODIES;
        let mut answers = self.fetcher.fetch_many(input.urls.iter());
        while let Some((place, answer)) = answers.next().await {
            if let Some(report) = reports.get_mut(place) {
                *report = report_of(answer, &mut room);
            }
        }
        drop(answers);
        for (report, url) in reports.iter_mut().zip(input.urls) {
            report.url = url;
        }
        let failed = reports
            .iter()
            .filter(|report| report.error.is_some())
            .count();
        Ok(Output {
            fetched: reports.len() - failed,
            failed,
            results: reports,
        })
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
