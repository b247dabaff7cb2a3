//! The jobs, through the queue and the worker.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::service::Service;

pub fn a_posted_object_is_profiled(service: &Service) {
    let task_id = service.process(r#"{"values":[1,2,3]}"#);
    let result = service.result(&task_id);
    assert_eq!(result["status"], "completed", "{result}");
    let values = &result["result"]["fields"]["values[]"];
    assert_eq!(values["count"], 3, "{result}");
    assert_eq!(
        (&values["min"], &values["max"], &values["mean"]),
        (&json!(1), &json!(3), &json!(2.0))
    );
}

pub fn a_source_is_profiled_as_python_does(service: &Service) {
    for path in ["/data/people.jsonl", "/data/people.csv"] {
        let task_id = service.process(&json!({"source_url": service.upstream(path)}).to_string());
        let result = service.result(&task_id);
        assert_eq!(result["status"], "completed", "{result}");
        assert_eq!(result["result"]["records"], 5000, "{path}");
    }
    let source = service.upstream("/data/large.jsonl?records=100000");
    let task_id = service.process(&json!({"source_url": source}).to_string());
    let result = service.result(&task_id);
    assert_eq!(result["result"]["records"], 100_000, "{result}");
    compare_with_python(service, &source, &result["result"]["fields"]);
}

/// Computes Python's `statistics` over the same records for each numeric field, and compares the
/// results.
fn compare_with_python(service: &Service, source: &str, fields: &Value) {
    const REFERENCE: &str = r#"
import json, statistics, sys
columns = {}
for line in sys.stdin:
    if line.strip():
        for key, value in json.loads(line).items():
            if type(value) in (int, float):
                columns.setdefault(key, []).append(value)
print(json.dumps({key: {
    "min": min(values), "max": max(values),
    "mean": statistics.fmean(values), "stdev": statistics.stdev(values),
} for key, values in columns.items() if len(values) > 1}))
"#;
    let records = service.get(source).body;
    let mut python = Command::new("python3")
        .args(["-c", REFERENCE])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = python.stdin.take().expect("a pipe");
    let feeder = std::thread::spawn(move || {
        std::io::Write::write_all(&mut stdin, records.as_bytes()).expect("python3 reads");
    });
    let output = python.wait_with_output().expect("python3 ends");
    feeder.join().expect("python3 read its input");
    let reference: Value = serde_json::from_slice(&output.stdout).expect("python3's JSON");
    let reference = reference.as_object().expect("columns");
    assert!(!reference.is_empty());
    for (field, expected) in reference {
        for (name, expected) in expected.as_object().expect("figures") {
            let (ours, expected) = (
                fields[field][name].as_f64(),
                expected.as_f64().expect("f64"),
            );
            let ours = ours.unwrap_or_else(|| panic!("{field} has no {name}: {}", fields[field]));
            let tolerance = 1e-9 * expected.abs().max(1e-9);
            assert!(
                (ours - expected).abs() <= tolerance,
                "{field} {name}: {ours}, Python has {expected}"
            );
        }
    }
}

pub fn many_urls_are_fetched_concurrently(service: &Service) {
    let urls: Vec<String> = (0..200)
        .map(|n| service.upstream(&format!("/json/{n}?delay_ms=100")))
        .collect();
    let task_id = "00000000-0000-4000-8000-000000000200";
    let message = json!({
        "v": 1, "id": task_id, "job": "fetch_urls", "submitted_at": 1_700_000_000_000_u64,
        "input": {"urls": urls},
    });
    let started = Instant::now();
    service.send(&message.to_string());
    let result = service.result(task_id);
    println!("200 URLs of 100 ms each took {:?}", started.elapsed());
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(
        (&result["result"]["fetched"], &result["result"]["failed"]),
        (&json!(200), &json!(0))
    );
    let results = result["result"]["results"].as_array().unwrap();
    for (report, url) in results.iter().zip(&urls) {
        assert_eq!(
            (&report["url"], &report["status"]),
            (&json!(url), &json!(200))
        );
    }
    let most = service.stats()["most_at_once"].as_u64().unwrap();
    assert!((10..=64).contains(&most), "{most} concurrent requests");
}

pub fn an_unknown_task_is_not_found(service: &Service) {
    for id in ["00000000-0000-4000-8000-000000000404", "nope", "%20"] {
        service
            .get(&format!("/result/{id}"))
            .is(404, r#"{"detail":"Task not found"}"#);
    }
}
