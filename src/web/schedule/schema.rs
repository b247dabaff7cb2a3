//! The bodies of the routes of schedules, as the OpenAPI document shows them.

use utoipa::ToSchema;

use crate::json::{Json, Object};
use crate::web::submission::PrioritySchema;

/// A schedule to be created or replaced.
#[derive(Debug, ToSchema)]
#[schema(as = NewSchedule, example = json!({
    "name": "nightly",
    "job": "process_data",
    "input": {"values": [1, 2, 3]},
    "rule": {"crontab": {"minute": "30", "hour": "2"}},
    "timezone": "Europe/Berlin",
}))]
pub struct NewScheduleSchema {
    /// The name, unique in the service: up to 128 characters, without `/`. Left out of a replacement.
    #[schema(required = false, max_length = 128)]
    pub name: String,
    /// The name of the job, unless `celery` is given.
    #[schema(required = false)]
    pub job: String,
    /// The input of the job. `GET /jobs/` has its schema.
    #[schema(value_type = serde_json::Value, required = false)]
    pub input: Json,
    /// How to run the job's tasks.
    #[schema(required = false)]
    pub options: ScheduleOptionsSchema,
    /// A task of Celery in place of a job. Needs the scope `admin` where callers see only their own tasks.
    #[schema(required = false)]
    pub celery: CelerySchema,
    /// When the schedule fires.
    pub rule: RuleSchema,
    /// The IANA name of the rule's time zone.
    #[schema(required = false, default = "UTC")]
    pub timezone: String,
    /// The first moment at which a time may be. An interval without a start of its own begins there, or else
    /// when the schedule is created.
    #[schema(format = DateTime)]
    pub start: Option<String>,
    /// The last moment at which a time may be.
    #[schema(format = DateTime)]
    pub end: Option<String>,
    /// The number of times after which the schedule ends.
    #[schema(minimum = 1)]
    pub max_runs: Option<i64>,
    /// What happens to times that were missed because no ticker ran for a minute or longer.
    #[schema(required = false)]
    pub missed: MissedSchema,
    /// What happens to a time at which the task of the time before has not ended.
    #[schema(required = false)]
    pub overlap: OverlapSchema,
    /// Whether the schedule is paused.
    #[schema(required = false, default = false)]
    pub paused: bool,
    /// For a change: the version of the schedule that the change is of.
    pub version: Option<i64>,
}

/// The members of a schedule to change. Members that are absent stay, and null restores a default.
#[derive(Debug, ToSchema)]
#[schema(as = SchedulePatch, value_type = Object, example = json!({
    "rule": {"every": 30},
    "version": 1,
}))]
pub struct PatchSchema(pub Object);

/// When a schedule fires: one of four forms.
#[derive(Debug, ToSchema)]
#[schema(as = ScheduleRule)]
#[serde(untagged)]
pub enum RuleSchema {
    /// Celery's `crontab`.
    Crontab {
        /// The fields; an absent field is `*`.
        crontab: CrontabSchema,
    },
    /// A standard cron line of five fields, or a name such as `@daily`.
    Cron {
        /// The line.
        #[schema(example = "0 9 * * MON#1")]
        cron: String,
    },
    /// An interval.
    Every {
        /// The interval in seconds, at least 1.
        #[schema(minimum = 1)]
        every: f64,
        /// The first time.
        #[schema(format = DateTime)]
        start: Option<String>,
    },
    /// One time.
    At {
        /// The time.
        #[schema(format = DateTime)]
        at: String,
    },
}

/// The fields of Celery's `crontab`, as texts or numbers.
#[derive(Debug, ToSchema)]
#[schema(as = Crontab)]
pub struct CrontabSchema {
    /// 0 to 59.
    #[schema(required = false, default = "*")]
    pub minute: String,
    /// 0 to 23.
    #[schema(required = false, default = "*")]
    pub hour: String,
    /// 0 (Sunday) to 6, or names.
    #[schema(required = false, default = "*")]
    pub day_of_week: String,
    /// 1 to 31.
    #[schema(required = false, default = "*")]
    pub day_of_month: String,
    /// 1 to 12, or names.
    #[schema(required = false, default = "*")]
    pub month_of_year: String,
}

/// How to run the tasks of a schedule.
#[derive(Debug, ToSchema)]
#[schema(as = ScheduleOptions)]
pub struct ScheduleOptionsSchema {
    /// Seconds after its time at which a task may no longer start.
    #[schema(minimum = 1, maximum = 31536000)]
    pub expires: Option<i64>,
    /// The most attempts after the first, in place of the job's default.
    #[schema(minimum = 0, maximum = 100)]
    pub max_retries: Option<i64>,
    /// `high` has workers of its own.
    #[schema(inline)]
    pub priority: Option<PrioritySchema>,
    /// The longest time of one attempt in seconds.
    #[schema(minimum = 1, maximum = 900)]
    pub time_limit: Option<i64>,
}

/// A task of Celery.
#[derive(Debug, ToSchema)]
#[schema(as = CeleryTask, example = json!({
    "task": "proj.tasks.add",
    "args": [1, 2],
    "options": {"queue": "celery", "expires": 60},
}))]
pub struct CelerySchema {
    /// The name of the task.
    pub task: String,
    /// The positional arguments.
    #[schema(value_type = Vec<serde_json::Value>, required = false)]
    pub args: Vec<Json>,
    /// The keyword arguments.
    #[schema(value_type = Object, required = false)]
    pub kwargs: Json,
    /// The options of `apply_async`, such as `queue`, `headers`, `priority`, and `expires` in seconds after
    /// the time.
    #[schema(value_type = Object, required = false)]
    pub options: Json,
}

/// What happens to missed times.
#[derive(Debug, ToSchema)]
#[schema(as = MissedTimes, rename_all = "snake_case")]
pub enum MissedSchema {
    /// The last of them runs, at once.
    One,
    /// None of them runs.
    None,
    /// Each of them runs, at once; of more than 100, only the last ones.
    All,
}

/// What happens to a time at which the task of the time before has not ended.
#[derive(Debug, ToSchema)]
#[schema(as = OverlappingTimes, rename_all = "snake_case")]
pub enum OverlapSchema {
    /// The time runs.
    Allow,
    /// The time is skipped: its task expires.
    Skip,
}
