//! Metrics in CloudWatch's embedded metric format (EMF): lines of JSON on standard output. CloudWatch
//! Logs makes metrics of the lines, so counting needs no call.
//!
//! Lines are written only if `METRICS_NAMESPACE` is set, as in `template.yaml`: on a terminal the lines
//! would be noise. A line bypasses the log, since the log would wrap the line into a message. Lambda
//! does not change a line of JSON.
//!
//! CloudWatch bills each combination of a metric and its dimensions' values, so a dimension has few
//! values: the name of an existing job, a state, the outcome of a call. Never an id.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::clock::now_ms;
use crate::config::Config;

static NAMESPACE: OnceLock<String> = OnceLock::new();

/// Starts writing metrics, if the configuration names their namespace.
pub fn init(config: &Config) {
    if let Some(namespace) = config.metrics_namespace() {
        // An error means that the namespace has been set before.
        let _ = NAMESPACE.set(namespace);
    }
}

/// A metric's name, its unit and its value.
pub type Metric = (&'static str, &'static str, u64);

/// A count of one.
pub fn count(name: &'static str) -> Metric {
    (name, "Count", 1)
}

/// A duration.
pub fn milliseconds(name: &'static str, time: Duration) -> Metric {
    let value = time.as_millis().try_into().unwrap_or(u64::MAX);
    (name, "Milliseconds", value)
}

/// Metrics that have the same dimensions.
pub struct Set<'a> {
    /// Names and values.
    pub dimensions: &'a [(&'static str, &'a str)],
    /// The metrics.
    pub metrics: &'a [Metric],
}

impl<'a> Set<'a> {
    /// These metrics with these dimensions.
    pub fn of(dimensions: &'a [(&'static str, &'a str)], metrics: &'a [Metric]) -> Set<'a> {
        Set {
            dimensions,
            metrics,
        }
    }
}

/// Writes a line with these sets. Nothing is written without a set or without a namespace.
pub fn emit(sets: &[Set]) {
    let Some(namespace) = NAMESPACE.get().filter(|_| !sets.is_empty()) else {
        return;
    };
    let line = Line {
        namespace,
        now: now_ms(),
        sets,
    };
    let mut text = Vec::with_capacity(512);
    // An error of standard output cannot be reported anywhere.
    if serde_json::to_writer(&mut text, &line).is_ok() {
        text.push(b'\n');
        let _ = std::io::stdout().lock().write_all(&text);
    }
}

/// A line of metrics. Serialized directly to text, without a tree of values in between.
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
            // Sets may share dimensions. Each name occurs once in the line.
            let is_written = |name: &str| {
                let mut before = self.sets[..at].iter().flat_map(|set| set.dimensions);
                before.any(|(other, _)| *other == name)
            };
            for (name, value) in set.dimensions.iter().filter(|(name, _)| !is_written(name)) {
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

    /// Checks a line against the specification of the format, as far as this module uses the format.
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
    fn a_dimension_that_sets_share_is_written_once() {
        let dimensions = [("Job", "j"), ("State", "completed")];
        let (times, ends) = (
            [milliseconds("AttemptTime", Duration::from_millis(7))],
            [count("TasksFinished")],
        );
        let sets = [
            Set::of(&dimensions[..1], &times),
            Set::of(&dimensions, &ends),
        ];
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
}
