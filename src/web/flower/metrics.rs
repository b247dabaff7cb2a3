//! `GET /metrics`: what is counted of tasks, by the names of Flower and of celery-exporter.

use lambda_http::{Body, Request, Response};

use super::Flower;
use super::failure::Failure;
use super::prometheus::{CONTENT_TYPE, Exposition, Labels};
use crate::tasks::counts::{Counts, Histogram, JobCounts};
use crate::tasks::depths::Depth;
use crate::tasks::state::State;
use crate::web::answer;

/// The bounds of the histograms, in milliseconds: 4 ms, and its doubles up to 17 minutes. The counted histograms have each
/// of these bounds, so the numbers are exact.
const BOUNDS: [u64; 19] = {
    let mut bounds = [4; 19];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
};

/// What is counted of a job: the type of Flower's event, the name in celery-exporter, a sentence, and the number.
type Counter = (
    &'static str,
    &'static str,
    &'static str,
    fn(&JobCounts) -> u64,
);

const COUNTERS: [Counter; 5] = [
    (
        "task-started",
        "celery_task_started_total",
        "Attempts that have begun and ended.",
        |job| job.run.count(),
    ),
    (
        "task-succeeded",
        "celery_task_succeeded_total",
        "Tasks that have ended with a result.",
        |job| job.ended(State::Completed),
    ),
    (
        "task-failed",
        "celery_task_failed_total",
        "Tasks that have failed.",
        |job| job.ended(State::Failed),
    ),
    (
        "task-retried",
        "celery_task_retried_total",
        "Attempts that were followed by another.",
        |job| job.retries,
    ),
    (
        "task-revoked",
        "celery_task_revoked_total",
        "Tasks that were cancelled or have expired.",
        |job| job.ended(State::Cancelled) + job.ended(State::Expired),
    ),
];

impl Flower {
    /// The metrics, for who sees all tasks.
    pub(super) async fn metrics(&self, request: &Request) -> Result<Response<Body>, Failure> {
        let depths = self.depths(request).await?;
        let counts = self.counts.totals().await?;
        Ok(answer::text(
            CONTENT_TYPE,
            self.exposition(&counts, &depths),
        ))
    }

    fn exposition(&self, counts: &Counts, depths: &[Depth]) -> String {
        let mut all = Exposition::default();
        let jobs: Vec<(&str, String, &JobCounts)> = counts
            .jobs
            .iter()
            .map(|(name, job)| (name.as_str(), self.workers.of(name), job))
            .collect();
        self.write_events(&mut all, &jobs);
        for (_, name, help, number) in COUNTERS {
            let mut metric = all.begin(name, "counter", help);
            for (task, worker, job) in &jobs {
                metric.sample(&[("name", task), ("hostname", worker)], number(job));
            }
        }
        let run: fn(&JobCounts) -> &Histogram = |job| &job.run;
        let help = "Time of the attempts of tasks, in seconds.";
        let names = ["worker", "task"];
        write_histogram(
            &mut all,
            ("flower_task_runtime_seconds", help),
            names,
            &jobs,
            run,
        );
        let names = ["hostname", "name"];
        write_histogram(&mut all, ("celery_task_runtime", help), names, &jobs, run);
        let help = "Time from the earliest possible start of tasks to their start, in seconds.";
        write_histogram(
            &mut all,
            ("celery_task_queue_wait_time", help),
            names,
            &jobs,
            |job| &job.wait,
        );
        self.write_workers(&mut all);
        write_queues(&mut all, depths);
        all.into_text()
    }

    fn write_events(&self, all: &mut Exposition, jobs: &[(&str, String, &JobCounts)]) {
        let mut metric = all.begin("flower_events_total", "counter", "Number of events.");
        for (task, worker, job) in jobs {
            for (event, _, _, number) in COUNTERS {
                let labels = [("worker", &**worker), ("type", event), ("task", task)];
                metric.sample(&labels, number(job));
            }
        }
    }

    /// The workers are always there: Lambda starts their processes.
    fn write_workers(&self, all: &mut Exposition) {
        for (name, label) in [
            ("flower_worker_online", "worker"),
            ("celery_worker_up", "hostname"),
        ] {
            let mut metric = all.begin(name, "gauge", "Whether the worker takes tasks.");
            for worker in self.workers.names() {
                metric.sample(&[(label, worker)], 1);
            }
        }
    }
}

fn write_histogram(
    all: &mut Exposition,
    (name, help): (&str, &str),
    [of_worker, of_task]: [&str; 2],
    jobs: &[(&str, String, &JobCounts)],
    histogram: fn(&JobCounts) -> &Histogram,
) {
    let mut metric = all.begin(name, "histogram", help);
    for (task, worker, job) in jobs {
        let histogram = histogram(job);
        let buckets = BOUNDS.map(|bound| (in_seconds(bound), histogram.up_to(bound)));
        let labels: &Labels<'_> = &[(of_worker, worker), (of_task, task)];
        let sum = in_seconds(histogram.sum_ms());
        metric.histogram(labels, buckets.into_iter(), (histogram.count(), sum));
    }
}

/// A number of a queue: its name, a sentence, and the number.
type Gauge = (&'static str, &'static str, fn(&Depth) -> u64);

fn write_queues(all: &mut Exposition, depths: &[Depth]) {
    let metrics: [Gauge; 3] = [
        (
            "celery_queue_length",
            "Messages that wait for a worker.",
            |depth| depth.visible,
        ),
        (
            "async_service_queue_in_flight",
            "Messages that a worker holds, or that wait for their next attempt.",
            |depth| depth.in_flight,
        ),
        (
            "async_service_queue_delayed",
            "Messages that are not due.",
            |depth| depth.delayed,
        ),
    ];
    for (name, help, number) in metrics {
        let mut metric = all.begin(name, "gauge", help);
        for depth in depths {
            metric.sample(&[("queue_name", &depth.name)], number(depth));
        }
    }
}

fn in_seconds(milliseconds: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // exact up to 285,000 years
    let seconds = milliseconds as f64 / 1000.0;
    seconds
}
