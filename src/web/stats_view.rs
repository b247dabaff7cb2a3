//! Shows numbers of tasks in answers.

use std::collections::BTreeMap;

use lambda_http::Request;
use serde::Serialize;
use utoipa::ToSchema;

use super::checks::Checked;
use super::extract::Extract;
use super::task_view::time;
use crate::stats::{Numbers, Queues};
use crate::tasks::counts::{Histogram, JobCounts};
use crate::tasks::state::State;
use crate::tasks::store::Count;

/// The shortest, the usual and the longest window in seconds.
const SHORTEST: i64 = 60;
const USUAL: i64 = 3_600;
const LONGEST: i64 = 86_400;

/// The seconds of `?window=`.
///
/// # Errors
/// For a window that is not an integer from 60 to 86400.
pub fn window(request: &Request) -> Checked<u64> {
    let seconds = request.query_int_within("window", USUAL, SHORTEST..=LONGEST)?;
    Ok(seconds.unsigned_abs())
}

/// Numbers of tasks, queues and schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stats, example = json!({
    "now": "2026-03-01T12:00:30.000Z", "window_seconds": 3600, "step_seconds": 60, "at_least": false,
    "states": {
        "scheduled": {"count": 3, "at_least": false}, "pending": {"count": 0, "at_least": false},
        "running": {"count": 1, "at_least": false}, "retrying": {"count": 0, "at_least": false},
        "completed": {"count": 11, "at_least": false}, "failed": {"count": 1, "at_least": false},
        "cancelled": {"count": 0, "at_least": false}, "expired": {"count": 0, "at_least": false},
        "moved": {"count": 0, "at_least": false},
    },
    "steps": [{"at": "2026-03-01T11:58:00.000Z", "jobs": {"process_data":
        {"completed": 11, "failed": 1, "cancelled": 0, "expired": 0, "moved": 0, "retries": 2}}}],
    "jobs": [{"job": "process_data", "completed": 11, "failed": 1, "cancelled": 0, "expired": 0, "moved": 0,
        "retries": 2, "wait_ms": {"p50": 12, "p95": 80}, "run_ms": {"p50": 40, "p95": 310}}],
    "queues": [{"name": "tasks", "visible": 0, "in_flight": 1, "delayed": 0, "oldest_seconds": null}],
    "dead_letters": 0,
    "schedules": {"late": 0, "at_least": false},
}))]
pub struct StatsView {
    /// When the numbers were read.
    #[schema(format = DateTime)]
    now: String,
    /// The length of the window.
    window_seconds: u64,
    /// The length of a step: the longer the window, the longer the steps.
    step_seconds: u64,
    /// Whether more may have ended than `steps` and `jobs` have. Only in the numbers of own tasks, which come
    /// from the newest 200.
    at_least: bool,
    states: StatesView,
    /// What has ended in each step, oldest first. Steps without an end are left out.
    steps: Vec<StepView>,
    /// What has ended in all steps, by job.
    jobs: Vec<JobStats>,
    /// The queues. Absent for a caller who sees only own tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    queues: Option<Vec<QueueView>>,
    /// The messages in the dead-letter queue. Absent for a caller who sees only own tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<u64>,
    schedules: LateView,
}

/// The number of tasks in each state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StateCounts)]
pub struct StatesView {
    scheduled: CountView,
    pending: CountView,
    running: CountView,
    retrying: CountView,
    completed: CountView,
    failed: CountView,
    cancelled: CountView,
    expired: CountView,
    moved: CountView,
}

/// A number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StateCount)]
pub struct CountView {
    count: u64,
    /// Whether there may be more.
    at_least: bool,
}

/// What has ended in a step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatsStep)]
pub struct StepView {
    /// The beginning of the step.
    #[schema(format = DateTime)]
    at: String,
    /// By job. `unknown` stands for messages that no job could run, `other` for jobs beyond 89 in a minute.
    jobs: BTreeMap<String, EndsView>,
}

/// How many runs ended in each final state, and how many attempts another attempt followed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatsEnds)]
pub struct EndsView {
    completed: u64,
    failed: u64,
    cancelled: u64,
    expired: u64,
    moved: u64,
    retries: u64,
}

/// What has ended of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatsJob)]
pub struct JobStats {
    job: String,
    #[serde(flatten)]
    ends: EndsView,
    /// The times from when a task was due to its first attempt; null if none began.
    wait_ms: Option<QuantilesView>,
    /// The times of attempts; null if none ended.
    run_ms: Option<QuantilesView>,
}

/// Times in milliseconds, within 10 %.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatsQuantiles)]
pub struct QuantilesView {
    /// The time that half of the times do not exceed.
    p50: u64,
    /// The time that 95 of 100 times do not exceed.
    p95: u64,
}

/// A queue. The numbers are those of SQS, which are approximate.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatsQueue)]
pub struct QueueView {
    /// `tasks`, `tasks-high`, or the name of a queue of Celery.
    name: String,
    /// Messages that wait for a worker.
    visible: u64,
    /// Messages of tasks that run, and of tasks that wait for another attempt.
    in_flight: u64,
    /// Messages that were sent with a delay that is not over.
    delayed: u64,
    /// For how long the oldest pending task has been due. Null if none waits, and if more than 200 tasks exist:
    /// see the waits in `jobs` then.
    oldest_seconds: Option<u64>,
}

/// Schedules that are late.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LateSchedules)]
pub struct LateView {
    /// The schedules that were due more than two minutes ago and have not been handed out.
    late: u64,
    /// Whether there may be more.
    at_least: bool,
}

impl StatsView {
    /// The numbers of a window of so many seconds.
    pub fn new(numbers: Numbers, window: u64) -> StatsView {
        let now = numbers.now;
        let of = |state: State| numbers.states.get(state.as_str()).copied();
        let of = |state: State| CountView::from(of(state).unwrap_or_default());
        let states = StatesView {
            scheduled: of(State::Scheduled),
            pending: of(State::Pending),
            running: of(State::Running),
            retrying: of(State::Retrying),
            completed: of(State::Completed),
            failed: of(State::Failed),
            cancelled: of(State::Cancelled),
            expired: of(State::Expired),
            moved: of(State::Moved),
        };
        let steps = numbers.steps.into_iter().map(|(minute, counts)| {
            let jobs = counts.jobs.into_iter();
            StepView {
                at: time(minute * 60_000),
                jobs: jobs.map(|(job, counts)| (job, ends(&counts))).collect(),
            }
        });
        StatsView {
            now: time(now),
            window_seconds: window,
            step_seconds: numbers.step * 60,
            at_least: numbers.at_least,
            states,
            steps: steps.collect(),
            jobs: numbers.jobs.jobs.into_iter().map(job).collect(),
            dead_letters: numbers.queues.as_ref().map(|queues| queues.dead_letters),
            queues: numbers.queues.map(|all| queues(all, now)),
            schedules: LateView {
                late: numbers.late.count,
                at_least: numbers.late.at_least,
            },
        }
    }
}

impl From<Count> for CountView {
    fn from(count: Count) -> CountView {
        CountView {
            count: count.count,
            at_least: count.at_least,
        }
    }
}

fn ends(counts: &JobCounts) -> EndsView {
    EndsView {
        completed: counts.ended(State::Completed),
        failed: counts.ended(State::Failed),
        cancelled: counts.ended(State::Cancelled),
        expired: counts.ended(State::Expired),
        moved: counts.ended(State::Moved),
        retries: counts.retries,
    }
}

fn job((job, counts): (String, JobCounts)) -> JobStats {
    JobStats {
        job,
        ends: ends(&counts),
        wait_ms: quantiles(&counts.wait),
        run_ms: quantiles(&counts.run),
    }
}

fn quantiles(times: &Histogram) -> Option<QuantilesView> {
    Some(QuantilesView {
        p50: times.quantile(0.5)?,
        p95: times.quantile(0.95)?,
    })
}

fn queues(queues: Queues, now: u64) -> Vec<QueueView> {
    let queues = queues.tasks.into_iter().map(|(depth, since)| QueueView {
        name: depth.name,
        visible: depth.visible,
        in_flight: depth.in_flight,
        delayed: depth.delayed,
        oldest_seconds: since.map(|since| now.saturating_sub(since) / 1_000),
    });
    queues.collect()
}
