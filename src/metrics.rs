//! Metrics in CloudWatch's embedded metric format: lines of JSON on standard output, of which
//! CloudWatch Logs makes metrics, so that counting something is no call.
//!
//! They are written where `METRICS_NAMESPACE` is set, as `template.yaml` does, and nowhere else: on
//! a terminal they would be noise. A line goes past the log, since the log would wrap it into a
//! message of its own; Lambda leaves a line that is JSON as it is.
//!
//! Each combination of a metric and its dimensions' values is paid for by itself, so dimensions have
//! few values: the name of a job that there is, a state, what became of a call. Never an id.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::config::Config;
use crate::fetch::FetchError;
use crate::ids::now_ms;
use crate::tasks::state::State;
use crate::tasks::task::Task;

static NAMESPACE: OnceLock<String> = OnceLock::new();

/// Starts writing metrics, where the configuration names their namespace.
pub fn init(config: &Config) {
    if let Some(namespace) = config.metrics_namespace() {
        // An error means that they are written already, which is what we want.
        let _ = NAMESPACE.set(namespace);
    }
}

/// A task of this job was accepted: `TasksSubmitted`.
pub fn submitted(job: &str) {
    emit(&[Set::of(&[("Job", job)], &[count("TasksSubmitted")])]);
}

/// A task of this job came to a state: `TasksFinished` where it is a final one, `TaskRetries` where
/// the task waits for another attempt.
pub fn reached(job: &str, state: State) {
    if state.is_final() {
        let dimensions = [("Job", job), ("State", state.as_str())];
        emit(&[Set::of(&dimensions, &[count("TasksFinished")])]);
    } else if state == State::Retrying {
        emit(&[Set::of(&[("Job", job)], &[count("TaskRetries")])]);
    }
}

/// An attempt of a task ended after this time: `AttemptTime`. Its first one of all has also waited:
/// `TaskWait` is the time from when it could begin, at the earliest, to when it began.
pub fn attempted(task: &Task, attempt: u32, time: Duration) {
    let dimensions = [("Job", task.job.as_str())];
    let took = milliseconds("AttemptTime", time);
    if attempt > 1 || task.run > 1 {
        return emit(&[Set::of(&dimensions, &[took])]);
    }
    let due = task.options.eta.unwrap_or(0).max(task.submitted_at);
    let waited = now_ms().saturating_sub(due);
    let waited = Duration::from_millis(waited).saturating_sub(time);
    let metrics = [took, milliseconds("TaskWait", waited)];
    emit(&[Set::of(&dimensions, &metrics)]);
}

/// A call to another service ended, with a status or without: `UpstreamCalls` by what became of it,
/// and `UpstreamTime`. `target` is a word for the kind of service, not its address.
pub fn called(target: &'static str, answered: Result<u16, &FetchError>, time: Duration) {
    let dimensions = [("Outcome", outcome(answered)), ("Target", target)];
    emit(&[
        Set::of(&dimensions, &[count("UpstreamCalls")]),
        Set::of(&dimensions[1..], &[milliseconds("UpstreamTime", time)]),
    ]);
}

fn outcome(answered: Result<u16, &FetchError>) -> &'static str {
    match answered {
        Ok(500..) => "5xx",
        Ok(400..) => "4xx",
        Ok(_) => "ok",
        Err(FetchError::Timeout) => "timeout",
        // Nobody was called, or not to the end: the URL was at fault.
        Err(error) if error.status() < 500 => "refused",
        Err(_) => "failed",
    }
}

/// A metric's name, its unit and its value.
type Metric = (&'static str, &'static str, u64);

fn count(name: &'static str) -> Metric {
    (name, "Count", 1)
}

fn milliseconds(name: &'static str, time: Duration) -> Metric {
    let value = time.as_millis().try_into().unwrap_or(u64::MAX);
    (name, "Milliseconds", value)
}

/// Metrics that have the same dimensions.
struct Set<'a> {
    dimensions: &'a [(&'static str, &'a str)],
    metrics: &'a [Metric],
}

impl<'a> Set<'a> {
    fn of(dimensions: &'a [(&'static str, &'a str)], metrics: &'a [Metric]) -> Set<'a> {
        Set {
            dimensions,
            metrics,
        }
    }
}

fn emit(sets: &[Set]) {
    if let Some(namespace) = NAMESPACE.get() {
        let mut line = line(namespace, now_ms(), sets);
        line.push('\n');
        // A log that cannot be written has nobody to be told to.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

/// A line of the format.
struct Line<'a> {
    meta: Meta<'a>,
    sets: &'a [Set<'a>],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Meta<'a> {
    timestamp: u64,
    cloud_watch_metrics: Vec<Directive<'a>>,
}

/// What CloudWatch shall make of the members of a line.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [Vec<&'a str>; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_aws", &self.meta)?;
        for (place, set) in self.sets.iter().enumerate() {
            for dimension in set.dimensions {
                let mut before = self.sets[..place].iter().flat_map(|set| set.dimensions);
                if before.all(|(name, _)| *name != dimension.0) {
                    map.serialize_entry(dimension.0, dimension.1)?;
                }
            }
            for (name, _, value) in set.metrics {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// Written straight from what it is made of: with many URLs, there is a line for each of them.
fn line(namespace: &str, timestamp: u64, sets: &[Set]) -> String {
    let directives = sets.iter().map(|set| directive(namespace, set));
    let meta = Meta {
        timestamp,
        cloud_watch_metrics: directives.collect(),
    };
    // Names, texts and numbers can always be written.
    serde_json::to_string(&Line { meta, sets }).unwrap_or_default()
}

fn directive<'a>(namespace: &'a str, set: &Set<'a>) -> Directive<'a> {
    let definition = |(name, unit, _): &Metric| Definition { name, unit };
    Directive {
        namespace,
        dimensions: [set.dimensions.iter().map(|(name, _)| *name).collect()],
        metrics: set.metrics.iter().map(definition).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the specification of the format asks of a line, of what is used here.
    fn check(line: &Value) {
        assert!(line["_aws"]["Timestamp"].is_u64());
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert!(!directive["Namespace"].as_str().unwrap().is_empty());
            for name in directive["Dimensions"][0].as_array().unwrap() {
                let value = line[name.as_str().unwrap()].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()), "{name}: {value}");
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                assert!(line[metric["Name"].as_str().unwrap()].is_u64());
                assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().unwrap()));
            }
        }
    }

    #[test]
    fn a_line_is_in_the_embedded_metric_format() {
        let dimensions = [("Outcome", "ok"), ("Target", "url")];
        let took = milliseconds("UpstreamTime", Duration::from_millis(40));
        let text = line(
            "shop",
            1_700_000_000_000,
            &[
                Set::of(&dimensions, &[count("UpstreamCalls")]),
                Set::of(&dimensions[1..], &[took]),
            ],
        );
        let line: Value = serde_json::from_str(&text).unwrap();
        check(&line);
        assert_eq!(
            line,
            json!({
                "_aws": {"Timestamp": 1_700_000_000_000_u64, "CloudWatchMetrics": [
                    {"Namespace": "shop", "Dimensions": [["Outcome", "Target"]],
                     "Metrics": [{"Name": "UpstreamCalls", "Unit": "Count"}]},
                    {"Namespace": "shop", "Dimensions": [["Target"]],
                     "Metrics": [{"Name": "UpstreamTime", "Unit": "Milliseconds"}]},
                ]},
                "Outcome": "ok", "Target": "url", "UpstreamCalls": 1, "UpstreamTime": 40,
            })
        );
        assert!(text.starts_with(r#"{"_aws":"#) && !text.contains('\n'));
        // Each member once: a reader of the line may take either of two.
        assert_eq!(text, line.to_string());
    }

    #[test]
    fn calls_have_few_outcomes() {
        for (answered, expected) in [
            (Ok(200), "ok"),
            (Ok(304), "ok"),
            (Ok(404), "4xx"),
            (Ok(503), "5xx"),
            (Err(&FetchError::Timeout), "timeout"),
            (Err(&FetchError::ForbiddenAddress), "refused"),
            (Err(&FetchError::Dns), "failed"),
        ] {
            assert_eq!(outcome(answered), expected, "{answered:?}");
        }
    }
}
