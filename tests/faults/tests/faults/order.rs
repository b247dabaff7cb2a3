//! Submissions, and their expected results.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use local_stack::upstream::FLAKY_RECORDS;
use serde_json::{Value, json};

use crate::fault;
use crate::service::Service;

/// Retries, enough for all attempts that are lost with their workers.
const RETRIES: u32 = 20;

/// A countdown in seconds, longer than SQS' maximum delay and than a storm.
const FAR: u32 = 3_600;

/// A submission.
#[derive(Debug, Clone)]
pub struct Order {
    pub kind: Kind,
    /// The body of the submission.
    pub body: Value,
    /// The idempotency key, with which the task is submitted twice concurrently.
    pub key: Option<String>,
    pub max_retries: u32,
    pub expected: Expected,
}

/// The kinds of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Small,
    /// The input or the result is stored in chunks.
    Large,
    Source,
    Urls,
    /// The job saves its progress between fetches.
    ManyUrls,
    /// The source does not exist; the task is restarted so often.
    Missing {
        restarts: u32,
    },
    /// The source exists after some failed requests.
    Flaky {
        fails: u32,
    },
    Countdown,
    Key,
    /// The task is cancelled after so many milliseconds.
    Cancelled {
        after: u64,
    },
    /// The task has a delay above SQS' maximum, so a one-time schedule sends its message. It is
    /// cancelled after so many milliseconds.
    Scheduled {
        after: u64,
    },
    /// The task may start until this time, in milliseconds since the Unix epoch.
    Expires {
        at: u64,
    },
    /// The task has one attempt, which may be lost.
    OneAttempt,
}

impl Kind {
    /// The kind's name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Small => "small",
            Kind::Large => "large",
            Kind::Source => "of a file",
            Kind::Urls => "of URLs",
            Kind::ManyUrls => "of many URLs",
            Kind::Missing { .. } => "of a missing file",
            Kind::Flaky { .. } => "of a flaky file",
            Kind::Countdown => "later",
            Kind::Key => "twice under a key",
            Kind::Cancelled { .. } => "cancelled",
            Kind::Scheduled { .. } => "scheduled and cancelled",
            Kind::Expires { .. } => "expiring",
            Kind::OneAttempt => "one attempt",
        }
    }
}

/// The expected parts of a result.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The statistics of the numbers from `least` on.
    Numbers {
        count: u64,
        least: u64,
    },
    Records(u64),
    /// The documents with these numbers.
    Documents(Vec<(String, u64)>),
    /// No result: the task cannot succeed.
    Nothing,
}

impl Order {
    /// The submission with this number; the same for the same seed, except for times and addresses.
    pub fn new(service: &Service, seed: u64, number: u64) -> Order {
        let mut random = fault::random(seed, "order", number, "");
        let kind = kind(&mut random);
        let (job, input, expected) = work(service, &mut random, kind, number);
        let max_retries = match kind {
            Kind::OneAttempt => 0,
            _ => RETRIES,
        };
        let mut options = json!({"max_retries": max_retries});
        if random.u32(..10) == 0 {
            options["priority"] = json!("high");
        }
        match kind {
            Kind::Countdown => options["countdown"] = json!(random.u32(1..=5)),
            Kind::Cancelled { after } if after % 3 == 0 => options["countdown"] = json!(2),
            Kind::Scheduled { .. } => options["countdown"] = json!(FAR),
            Kind::Expires { at } => options["expires"] = json!(rfc3339(at)),
            _ => {}
        }
        Order {
            kind,
            body: json!({"job": job, "input": input, "options": options}),
            // A submission without a key and without an answer may leave a task that no client
            // cancels. A scheduled task would then not end during the test.
            key: matches!(kind, Kind::Key | Kind::Scheduled { .. })
                .then(|| format!("faults-{seed}-{number}")),
            max_retries,
            expected,
        }
    }
}

fn kind(random: &mut Rng) -> Kind {
    match random.u32(..1000) {
        0..40 => Kind::Large,
        // Many, because a worker that waits for a file has claimed its task, and faults are most
        // interesting then.
        40..290 => Kind::Source,
        290..360 => Kind::Urls,
        360..364 => Kind::ManyUrls,
        364..414 => Kind::Missing {
            restarts: random.u32(..=2),
        },
        414..464 => Kind::Flaky {
            fails: random.u32(1..=2),
        },
        464..524 => Kind::Countdown,
        524..574 => Kind::Key,
        574..634 => Kind::Cancelled {
            after: random.u64(500..5_000),
        },
        634..654 => Kind::Expires {
            at: now_ms() + random.u64(300..4_000),
        },
        654..670 => Kind::OneAttempt,
        670..700 => Kind::Scheduled {
            after: random.u64(300..3_000),
        },
        _ => Kind::Small,
    }
}

/// A job, its input, and its expected result.
fn work(
    service: &Service,
    random: &mut Rng,
    kind: Kind,
    number: u64,
) -> (&'static str, Value, Expected) {
    let file = |path: String, expected| {
        let input = json!({"source_url": service.upstream(&path)});
        ("process_data", input, expected)
    };
    let large_file = |records: u64, delay: u64| {
        let path = format!("/data/large.jsonl?records={records}&delay_ms={delay}");
        file(path, Expected::Records(records))
    };
    match kind {
        Kind::Source => large_file(random.u64(10..300), random.u64(..2_500)),
        Kind::Urls => {
            let count = random.u64(2..9);
            urls(service, number, count, random.u64(..200))
        }
        // Sixteen concurrent fetches of one host: the job waits three times, and saves its progress
        // in between.
        Kind::ManyUrls => urls(service, number, 48, 2_000),
        Kind::Missing { .. } => file(format!("/data/missing-{number}.csv"), Expected::Nothing),
        Kind::Flaky { fails } => {
            let path = format!("/flaky/{fails}/{number}.jsonl");
            file(path, Expected::Records(FLAKY_RECORDS))
        }
        // Usually a third of these tasks are running when they are cancelled.
        Kind::Cancelled { after } if after % 3 == 1 => large_file(50, 6_000),
        // An input over 512 bytes is stored in chunks, and an input over 60 KB is not in the
        // message. With so many fields the result has more than 16 KB.
        Kind::Large => {
            let count = [300, 12_000][random.usize(..2)];
            numbers(number, count, 150)
        }
        _ => numbers(number, 3, 0),
    }
}

fn numbers(number: u64, count: u64, fields: u64) -> (&'static str, Value, Expected) {
    let least = number * 10;
    let values: Vec<u64> = (least..least + count).collect();
    let mut input = json!({"values": values});
    for field in 0..fields {
        input[format!("field {field}")] = json!(field);
    }
    ("process_data", input, Expected::Numbers { count, least })
}

fn urls(service: &Service, number: u64, count: u64, delay: u64) -> (&'static str, Value, Expected) {
    let documents: Vec<(String, u64)> = (number..number + count)
        .map(|n| (service.upstream(&format!("/json/{n}?delay_ms={delay}")), n))
        .collect();
    let urls: Vec<&String> = documents.iter().map(|(url, _)| url).collect();
    let input = json!({"urls": urls});
    ("fetch_urls", input, Expected::Documents(documents))
}

impl Expected {
    /// Whether a result is as expected.
    pub fn is_met(&self, result: &Value) -> bool {
        match self {
            Expected::Numbers { count, least } => {
                let of = &result["fields"]["values[]"];
                let (least, last) = (*least as f64, (least + count - 1) as f64);
                of["count"] == json!(count)
                    && of["min"].as_f64() == Some(least)
                    && of["max"].as_f64() == Some(last)
                    && of["mean"]
                        .as_f64()
                        .is_some_and(|mean| (mean - (least + last) / 2.0).abs() < 1e-6)
            }
            Expected::Records(count) => result["records"] == json!(count),
            Expected::Documents(documents) => {
                let reports = result["results"].as_array().into_iter().flatten();
                let is_of = |(report, (url, n)): (&Value, &(String, u64))| {
                    report["url"] == json!(url) && report["json"]["id"] == json!(n)
                };
                result["fetched"] == json!(documents.len())
                    && reports.clone().count() == documents.len()
                    && reports.zip(documents).all(is_of)
            }
            Expected::Nothing => false,
        }
    }
}

/// How long a client waits before it cancels a task, or checks whether the task has failed.
pub fn follow_up(kind: Kind) -> Option<Duration> {
    match kind {
        Kind::Cancelled { after } | Kind::Scheduled { after } => Some(Duration::from_millis(after)),
        Kind::Missing { restarts } if restarts > 0 => Some(Duration::from_secs(1)),
        _ => None,
    }
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

fn rfc3339(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds).ok();
    let time = time.and_then(|time| Timestamp::from_millisecond(time).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}
