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

use serde::ser::SerializeMap;
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

/// A task of this job came to a state without an attempt; see [`attempted`].
pub fn reached(job: &str, state: State) {
    let dimensions = [("Job", job), ("State", state.as_str())];
    let metrics = [reaching(state)];
    emit(reached_by(state, &dimensions, &metrics).as_slice());
}

/// What a task's coming to a state counts as: `TasksFinished` where it is a final one, `TaskRetries`
/// where the task waits for another attempt.
fn reaching(state: State) -> Metric {
    match state {
        State::Retrying => count("TaskRetries"),
        _ => count("TasksFinished"),
    }
}

/// That a task came to `state`, where that is counted. `dimensions` are the job and the state.
fn reached_by<'a>(
    state: State,
    dimensions: &'a [(&'static str, &'a str); 2],
    metrics: &'a [Metric],
) -> Option<Set<'a>> {
    match state {
        state if state.is_final() => Some(Set::of(dimensions, metrics)),
        State::Retrying => Some(Set::of(&dimensions[..1], metrics)),
        _ => None,
    }
}

/// An attempt of a task, which began at `began` in milliseconds since the Unix epoch, ended after
/// `time`, and the task came to a state, if it still was this attempt's: `AttemptTime`. Its first
/// attempt of all has also waited: `TaskWait` is the time from when it could begin, at the earliest,
/// to when it began.
pub fn attempted(task: &Task, attempt: u32, began: u64, time: Duration, state: Option<State>) {
    let job = ("Job", task.job.as_str());
    let due = task.options.eta.unwrap_or(0).max(task.submitted_at);
    let waited = Duration::from_millis(began.saturating_sub(due));
    let times = [
        milliseconds("AttemptTime", time),
        milliseconds("TaskWait", waited),
    ];
    let is_first = attempt == 1 && task.run == 1;
    let times = &times[..if is_first { 2 } else { 1 }];
    let attempted = Set::of(std::slice::from_ref(&job), times);
    let Some(state) = state else {
        return emit(&[attempted]);
    };
    // In one line: of a small task, the log is not the least of its costs.
    let (dimensions, metrics) = ([job, ("State", state.as_str())], [reaching(state)]);
    match reached_by(state, &dimensions, &metrics) {
        Some(reached) => emit(&[attempted, reached]),
        None => emit(&[attempted]),
    }
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
    let Some(namespace) = NAMESPACE.get().filter(|_| !sets.is_empty()) else {
        return;
    };
    let line = Line {
        namespace,
        now: now_ms(),
        sets,
    };
    let mut text = Vec::with_capacity(512);
    // A log that cannot be written has nobody to be told to.
    if serde_json::to_writer(&mut text, &line).is_ok() {
        text.push(b'\n');
        let _ = std::io::stdout().lock().write_all(&text);
    }
}

/// A line of the log. It is written as it is serialized, without a tree of values in between.
struct Line<'a> {
    namespace: &'a str,
    now: u64,
    sets: &'a [Set<'a>],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let meta = Meta {
            timestamp: self.now,
            directives: self
                .sets
                .iter()
                .map(|set| set.directive(self.namespace))
                .collect(),
        };
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("_aws", &meta)?;
        for (at, set) in self.sets.iter().enumerate() {
            // What sets share is named once.
            let named = |name: &str| {
                let mut before = self.sets[..at].iter().flat_map(|set| set.dimensions);
                before.any(|(other, _)| *other == name)
            };
            for (name, value) in set.dimensions.iter().filter(|(name, _)| !named(name)) {
                line.serialize_entry(name, value)?;
            }
            for (name, _, value) in set.metrics {
                line.serialize_entry(name, value)?;
            }
        }
        line.end()
    }
}

#[derive(Serialize)]
struct Meta<'a> {
    #[serde(rename = "Timestamp")]
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [Vec<&'static str>; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Set<'_> {
    fn directive<'a>(&self, namespace: &'a str) -> Directive<'a> {
        let metrics = self.metrics.iter();
        Directive {
            namespace,
            dimensions: [self.dimensions.iter().map(|(name, _)| *name).collect()],
            metrics: metrics
                .map(|(name, unit, _)| Definition { name, unit })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value(now: u64, sets: &[Set]) -> Value {
        let line = Line {
            namespace: "shop",
            now,
            sets,
        };
        serde_json::to_value(&line).unwrap()
    }

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
        let line = value(
            1_700_000_000_000,
            &[
                Set::of(&dimensions, &[count("UpstreamCalls")]),
                Set::of(&dimensions[1..], &[took]),
            ],
        );
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
        assert!(!line.to_string().contains('\n'));
    }

    #[test]
    fn what_sets_share_is_named_once() {
        let times = [milliseconds("AttemptTime", Duration::from_millis(7))];
        let (dimensions, ends) = (
            [("Job", "j"), ("State", "completed")],
            [count("TasksFinished")],
        );
        let reached = reached_by(State::Completed, &dimensions, &ends).unwrap();
        let sets = [Set::of(&dimensions[..1], &times), reached];
        let line = Line {
            namespace: "shop",
            now: 1,
            sets: &sets,
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(text.matches(r#""Job":"#).count(), 1, "{text}");
        let line = value(1, &sets);
        check(&line);
        assert_eq!(line["TasksFinished"], 1);
        assert_eq!(line["AttemptTime"], 7);
    }

    #[test]
    fn only_ends_and_retries_are_counted() {
        let counted = |state: State| {
            let (dimensions, metrics) =
                ([("Job", "j"), ("State", state.as_str())], [reaching(state)]);
            reached_by(state, &dimensions, &metrics)
                .map(|set| (set.dimensions.len(), set.metrics[0].0))
        };
        assert_eq!(counted(State::Failed), Some((2, "TasksFinished")));
        assert_eq!(counted(State::Retrying), Some((1, "TaskRetries")));
        assert_eq!(counted(State::Pending), None);
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
