//! The functions' metrics, read from the log as CloudWatch reads them.

use serde_json::{Value, json};

use crate::service::Service;

/// The lines in the embedded metric format, which are plain JSON without a log message around.
fn lines(service: &Service) -> Vec<Value> {
    let logs = service.logs();
    let texts = logs
        .lines()
        .filter_map(|line| Some(line.split_once(" | ")?.1));
    let metrics = texts.filter(|text| text.starts_with(r#"{"_aws":"#));
    metrics
        .map(|text| serde_json::from_str(text).expect(text))
        .collect()
}

/// The sum of a metric over the lines with these dimension values.
fn counted(lines: &[Value], metric: &str, dimensions: &[(&str, &str)]) -> u64 {
    let fits = |line: &&Value| {
        let directives = line["_aws"]["CloudWatchMetrics"]
            .as_array()
            .into_iter()
            .flatten();
        let mut named = directives.filter(|directive| directive["Metrics"][0]["Name"] == metric);
        let named =
            named.any(|d| d["Dimensions"][0].as_array().map(Vec::len) == Some(dimensions.len()));
        named && dimensions.iter().all(|(name, value)| line[*name] == *value)
    };
    lines
        .iter()
        .filter(fits)
        .filter_map(|line| line[metric].as_u64())
        .sum()
}

pub fn count_tasks_and_calls_and_contain_no_ids(service: &Service) {
    let before = lines(service);
    let task_id = service.process(r#"{"values":[1]}"#);
    assert_eq!(service.result(&task_id)["status"], "completed");
    let source = service.upstream("/no-such-data");
    let failed_id = service.process(&json!({"source_url": source}).to_string());
    assert_eq!(service.result(&failed_id)["status"], "failed");
    let job = ("Job", "process_data");
    let wanted: [(&str, &[(&str, &str)]); 5] = [
        ("TasksSubmitted", &[job]),
        ("TasksFinished", &[job, ("State", "completed")]),
        ("TasksFinished", &[job, ("State", "failed")]),
        ("UpstreamCalls", &[("Outcome", "4xx"), ("Target", "url")]),
        ("AttemptTime", &[job]),
    ];
    let after = service.eventually("all metrics are counted", || {
        let after = lines(service);
        let grew = |(metric, of): &(&str, &[(&str, &str)])| match *metric {
            // The value is unknown, but the metric must exist.
            "AttemptTime" => after.iter().any(|line| line[*metric].is_u64()),
            _ => counted(&after, metric, of) > counted(&before, metric, of),
        };
        wanted.iter().all(grew).then_some(after)
    });
    for line in &after {
        let text = line.to_string();
        assert!(
            !text.contains(&task_id) && !text.contains(&failed_id),
            "{text}"
        );
        assert!(line["_aws"]["Timestamp"].is_u64(), "{text}");
    }
}
