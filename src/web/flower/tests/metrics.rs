//! The metrics.

use super::*;

/// Reads samples by the grammar of the text format: the name with the labels, and the value. Each metric has its kind before
/// its samples, and its samples together.
fn samples(text: &str) -> HashMap<String, f64> {
    let (mut found, mut kinds) = (HashMap::new(), Vec::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(
                kinds.iter().all(|known| known != name),
                "{name} comes twice"
            );
            kinds.push(name.to_owned());
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let of = kinds.last().unwrap();
            assert!(
                name.strip_prefix(of.as_str()).is_some(),
                "{line} is no sample of {of}"
            );
            assert!(
                name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'),
                "{line}"
            );
            assert!(
                found
                    .insert(series.to_owned(), value.parse().unwrap())
                    .is_none()
            );
        }
    }
    found
}

#[tokio::test]
async fn metrics_have_the_totals_by_few_reads() {
    let world = world();
    let mut counts = Counts::default();
    let job = counts.of("add");
    job.entered(State::Completed);
    job.entered(State::Failed);
    job.entered(State::Expired);
    job.entered(State::Cancelled);
    job.entered(State::Retrying);
    for time in [3, 70, 5_000] {
        job.run.record(time);
    }
    job.wait.record(20);
    counts.of("py\"t\\h\non").entered(State::Completed);
    counts.of("python.mul").run.record(1);
    world.flower.counts.add(counts).await.unwrap();
    let before = world.reads();
    let (status, text) = world.ask("admin", "GET", "/metrics", "").await;
    assert_eq!(status, 200, "{text}");
    // A row of totals and the minutes since, and one call to each queue.
    assert!(world.reads() - before <= 9, "{}", world.reads() - before);
    assert_eq!(world.sqs.calls("GetQueueAttributes").len(), 1);
    let found = samples(&text);
    for (series, value) in [
        (
            r#"flower_events_total{worker="celery@service",type="task-succeeded",task="add"}"#,
            1.0,
        ),
        (
            r#"flower_events_total{worker="celery@service",type="task-started",task="add"}"#,
            3.0,
        ),
        (
            r#"celery_task_revoked_total{name="add",hostname="celery@service"}"#,
            2.0,
        ),
        (
            r#"celery_task_retried_total{name="add",hostname="celery@service"}"#,
            1.0,
        ),
        (
            r#"celery_task_succeeded_total{name="py\"t\\h\non",hostname="celery@service"}"#,
            1.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="0.004"}"#,
            1.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="0.064"}"#,
            1.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="0.128"}"#,
            2.0,
        ),
        (
            r#"flower_task_runtime_seconds_bucket{worker="celery@service",task="add",le="+Inf"}"#,
            3.0,
        ),
        (
            r#"flower_task_runtime_seconds_sum{worker="celery@service",task="add"}"#,
            5.073,
        ),
        (
            r#"celery_task_runtime_count{hostname="bodies:live@service",name="python.mul"}"#,
            1.0,
        ),
        (
            r#"celery_task_queue_wait_time_sum{hostname="celery@service",name="add"}"#,
            0.02,
        ),
        (r#"celery_queue_length{queue_name="celery"}"#, 2.0),
        (r#"async_service_queue_in_flight{queue_name="celery"}"#, 3.0),
        (r#"flower_worker_online{worker="bodies:live@service"}"#, 1.0),
    ] {
        assert_eq!(found.get(series), Some(&value), "{series}");
    }
}
