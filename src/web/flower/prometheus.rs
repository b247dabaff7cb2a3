//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics in the text format.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

/// The labels of a sample: names, and values of any text.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

impl Exposition {
    /// Begins a metric with its kind and a sentence. All its samples follow.
    pub fn begin<'t>(&'t mut self, name: &'t str, kind: &str, help: &str) -> Metric<'t> {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric {
            name,
            text: &mut self.text,
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

/// A metric that is being written.
#[derive(Debug)]
pub(super) struct Metric<'t> {
    name: &'t str,
    text: &'t mut String,
}

impl Metric<'_> {
    /// A sample.
    pub fn sample(&mut self, labels: &Labels<'_>, value: u64) {
        self.line("", labels, None, &value.to_string());
    }

    /// The samples of a histogram: `buckets` are the bounds in seconds with the number of values up to each, and `sum` is
    /// in seconds.
    pub fn histogram(
        &mut self,
        labels: &Labels<'_>,
        buckets: impl Iterator<Item = (f64, u64)>,
        (count, sum): (u64, f64),
    ) {
        for (bound, up_to) in buckets {
            self.line(
                "_bucket",
                labels,
                Some(&bound.to_string()),
                &up_to.to_string(),
            );
        }
        self.line("_bucket", labels, Some("+Inf"), &count.to_string());
        self.line("_sum", labels, None, &sum.to_string());
        self.line("_count", labels, None, &count.to_string());
    }

    fn line(&mut self, end: &str, labels: &Labels<'_>, bound: Option<&str>, value: &str) {
        let labels = labels.iter().copied();
        let labels = labels.chain(bound.map(|bound| ("le", bound)));
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{}{end}{labels} {value}", self.name);
    }
}

/// A label's value, with its three special characters escaped.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_as_prometheus_reads_them() {
        let mut all = Exposition::default();
        let mut metric = all.begin("a_total", "counter", "Things.");
        metric.sample(&[], 3);
        metric.sample(&[("x", "a\"b\\c\nd\te")], u64::MAX);
        let mut metric = all.begin("b_seconds", "histogram", "Times.");
        metric.histogram(&[("x", "y")], [(0.016, 1), (2.0, 4)].into_iter(), (5, 7.25));
        let expected = r#"# HELP a_total Things.
# TYPE a_total counter
a_total 3
a_total{x="a\"b\\c\nd	e"} 18446744073709551615
# HELP b_seconds Times.
# TYPE b_seconds histogram
b_seconds_bucket{x="y",le="0.016"} 1
b_seconds_bucket{x="y",le="2"} 4
b_seconds_bucket{x="y",le="+Inf"} 5
b_seconds_sum{x="y"} 7.25
b_seconds_count{x="y"} 5
"#;
        assert_eq!(all.into_text(), expected);
    }
}
