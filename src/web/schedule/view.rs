//! Shows schedules in answers.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::schema::{CelerySchema, MissedSchema, OverlapSchema, RuleSchema, ScheduleOptionsSchema};
use crate::json::{Json, Object, parse_str};
use crate::schedules::plan::Times;
use crate::schedules::{Definition, JobOptions, Missed, Overlap, Schedule, Work};
use crate::tasks::id::TaskId;
use crate::tasks::state::State;
use crate::tasks::task::Priority;
use crate::web::task_view::{TaskState, time};

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub struct ScheduleView {
    /// The name.
    name: String,
    /// The name of the job. Absent for a task of Celery.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// The input of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
    /// How to run the job's tasks. Absent without options.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ScheduleOptionsSchema>)]
    options: Option<Json>,
    /// The task of Celery. Absent for a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CelerySchema>)]
    celery: Option<Json>,
    /// When the schedule fires.
    #[schema(value_type = RuleSchema)]
    rule: Json,
    /// The IANA name of the rule's time zone.
    timezone: String,
    /// The first moment at which a time may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    start: Option<String>,
    /// The last moment at which a time may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    end: Option<String>,
    /// The number of times after which the schedule ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_runs: Option<u64>,
    /// What happens to missed times.
    #[schema(value_type = MissedSchema)]
    missed: &'static str,
    /// What happens to a time at which the task of the time before has not ended.
    #[schema(value_type = OverlapSchema)]
    overlap: &'static str,
    /// Whether the schedule is paused.
    paused: bool,
    /// The version, 1 more with each change. Also the `ETag` of the answer.
    version: u64,
    /// The name of the caller who created the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// When the schedule was created.
    #[schema(format = DateTime)]
    created_at: String,
    /// When the schedule was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
    /// The first time after now. Absent for a schedule that is paused or has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    next: Option<String>,
    /// The last time whose task was submitted: up to 75 seconds before the time itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last: Option<String>,
    /// The number of times whose tasks were submitted.
    count: u64,
    /// The task of the time `last`.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_task: Option<LastTask>,
}

/// The last task of a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastTask {
    /// The id of the task.
    #[schema(value_type = String)]
    task_id: TaskId,
    /// The state of the task. Absent in lists, and for a task without a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TaskState>)]
    state: Option<State>,
}

/// The next times of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"times": ["2030-01-31T02:30:00.000Z", "2030-02-01T02:30:00.000Z"]}))]
pub struct ScheduleTimes {
    /// The times, in order. For a paused schedule, as if it were resumed now.
    times: Vec<String>,
}

impl ScheduleTimes {
    /// The next `count` times after `now`, in milliseconds since the Unix epoch.
    pub fn of(schedule: &Schedule, now: u64, count: usize) -> ScheduleTimes {
        let times = times(schedule);
        let left = schedule.left().map_or(usize::MAX, |left| {
            // Times that are submitted ahead count already.
            let ahead = times.iter().flat_map(|times| times.iter(now));
            let ahead = ahead.take_while(|at| schedule.last.is_some_and(|last| *at <= last));
            usize::try_from(left)
                .unwrap_or(usize::MAX)
                .saturating_add(ahead.count())
        });
        let times = times.iter().flat_map(|times| times.iter(now));
        let times = times.take(count.min(left)).map(time);
        ScheduleTimes {
            times: times.collect(),
        }
    }
}

impl ScheduleView {
    /// The view of a schedule at the time `now`, in milliseconds since the Unix epoch.
    pub fn new(schedule: Schedule, now: u64) -> ScheduleView {
        let last_task = schedule.last.map(|last| LastTask {
            task_id: schedule.task_id(last),
            state: None,
        });
        let next = ScheduleTimes::of(&schedule, now, 1).times.pop();
        let definition = schedule.definition;
        let (job, celery) = match definition.work {
            Work::Job(work) => (Some(work), None),
            Work::Celery(work) => (None, Some(work)),
        };
        let options = job.as_ref().and_then(|work| options(&work.options));
        ScheduleView {
            name: schedule.name,
            options,
            celery: celery.and_then(|work| json_of(&work)),
            rule: definition.rule.to_json(),
            timezone: definition.timezone,
            start: definition.start.map(time),
            end: definition.end.map(time),
            max_runs: definition.max_runs,
            missed: missed(definition.missed),
            overlap: overlap(definition.overlap),
            paused: schedule.paused,
            version: schedule.version,
            caller: schedule.caller,
            created_at: time(schedule.created_at),
            updated_at: time(schedule.updated_at),
            next: next.filter(|_| !schedule.paused),
            last: schedule.last.map(time),
            count: schedule.count,
            last_task,
            job: job.as_ref().map(|work| work.job.clone()),
            input: job.map(|work| work.input),
        }
    }

    /// Adds the state of the last task.
    pub fn with_state(mut self, state: Option<State>) -> ScheduleView {
        if let Some(last) = &mut self.last_task {
            last.state = state;
        }
        self
    }
}

/// The times of a schedule. `None` for a stored rule that cannot be read, as after a change of this program.
fn times(schedule: &Schedule) -> Option<Times> {
    schedule.definition.times(schedule.anchor).ok()
}

/// A definition as the members of a body.
pub fn members(definition: &Definition) -> Object {
    let mut members = Object::new();
    match &definition.work {
        Work::Job(work) => {
            members.insert("job", work.job.as_str());
            members.insert("input", parse_str(work.input.get()).unwrap_or_default());
            if let Some(options) = options(&work.options) {
                members.insert("options", options);
            }
        }
        Work::Celery(work) => {
            members.insert("celery", json_of(work).unwrap_or_default());
        }
    }
    members.insert("rule", definition.rule.to_json());
    members.insert("timezone", definition.timezone.as_str());
    for (name, at) in [("start", definition.start), ("end", definition.end)] {
        if let Some(at) = at {
            members.insert(name, time(at));
        }
    }
    if let Some(count) = definition.max_runs {
        members.insert("max_runs", count);
    }
    members.insert("missed", missed(definition.missed));
    members.insert("overlap", overlap(definition.overlap));
    members
}

fn json_of(value: &impl Serialize) -> Option<Json> {
    let text = serde_json::to_string(value).ok()?;
    parse_str(&text).ok()
}

/// The options that differ from their defaults; `None` without any.
fn options(given: &JobOptions) -> Option<Json> {
    let mut options = Object::new();
    let numbers = [
        ("expires", given.expires),
        ("max_retries", given.max_retries.map(u64::from)),
        ("time_limit", given.time_limit),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            options.insert(name, number);
        }
    }
    if given.priority != Priority::default() {
        options.insert("priority", given.priority.as_str());
    }
    (!options.is_empty()).then(|| options.into())
}

fn missed(missed: Missed) -> &'static str {
    match missed {
        Missed::One => "one",
        Missed::None => "none",
        Missed::All => "all",
    }
}

fn overlap(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Allow => "allow",
        Overlap::Skip => "skip",
    }
}
