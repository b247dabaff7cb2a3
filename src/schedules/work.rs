//! What a schedule submits at each of its times: a task of a job, or the message of a Celery task.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::schedule::{Overlap, Schedule};
use crate::celery::canvas::{Outgoing, Sender, Unsendable, apply};
use crate::celery::origin::{SCHEDULE, SCHEDULE_AFTER};
use crate::celery::signature::NotASignature;
use crate::celery::time;
use crate::json::{Json, Object};
use crate::tasks::id::TaskId;
use crate::tasks::task::{Options, Priority, Scheduled, Task};

/// The work of a schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Tasks of a job.
    Job(JobWork),
    /// Tasks of Celery.
    Celery(CeleryWork),
}

/// A task of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobWork {
    /// The name of the job.
    pub job: String,
    /// The job's input as JSON text.
    pub input: Box<RawValue>,
    /// The options of the tasks.
    #[serde(default)]
    pub options: JobOptions,
}

/// The options of the tasks of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// The expiry of a task, in seconds after its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Attempts after the first, in place of the job's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, in place of the job's own time limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u64>,
    /// The queue of the tasks.
    #[serde(default)]
    pub priority: Priority,
}

/// A task of Celery, as `apply_async` sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CeleryWork {
    /// The name of the task.
    pub task: String,
    /// The positional arguments.
    pub args: Vec<Json>,
    /// The keyword arguments.
    pub kwargs: Json,
    /// The options of `apply_async`, such as `queue`, `headers` and `expires` (seconds after the time).
    pub options: Json,
}

/// What is submitted for one time.
#[derive(Debug)]
pub enum Submission {
    /// A task.
    Task(Box<Task>),
    /// The message of a Celery task.
    Message(Outgoing),
}

/// One time of a schedule.
#[derive(Debug, Clone)]
pub struct Occurrence {
    /// The id of the time's task.
    pub id: TaskId,
    /// The time, in milliseconds since the Unix epoch; `None` for a run at once.
    pub at: Option<u64>,
    /// The task of the time before, if the two may not overlap.
    pub after: Option<TaskId>,
}

impl Schedule {
    /// The id of the task of the time `at`: always the same for this schedule, and another for a schedule
    /// that is created later under the same name.
    pub fn task_id(&self, at: u64) -> TaskId {
        Uuid::new_v5(&self.uid, at.to_string().as_bytes()).into()
    }

    /// The claimed times that may not be submitted yet.
    pub fn occurrences(&self) -> Vec<Occurrence> {
        let mut before = self.before;
        let occurrence = |at: &u64| {
            let earlier = before.replace(*at);
            let may_not_overlap = self.definition.overlap == Overlap::Skip;
            Occurrence {
                id: self.task_id(*at),
                at: Some(*at),
                after: earlier
                    .filter(|_| may_not_overlap)
                    .map(|at| self.task_id(at)),
            }
        };
        self.claimed.iter().map(occurrence).collect()
    }

    /// What is submitted for one time, at the time `now`.
    ///
    /// # Errors
    /// For a Celery task whose message SQS does not take.
    pub fn submission(&self, time: &Occurrence, now: u64) -> Result<Submission, Unsendable> {
        let schedule = Scheduled {
            name: self.name.clone(),
            after: time.after.clone(),
        };
        match &self.definition.work {
            Work::Job(work) => {
                let mut task = work.task(time, now);
                task.caller.clone_from(&self.caller);
                task.schedule = Some(schedule);
                Ok(Submission::Task(Box::new(task)))
            }
            Work::Celery(work) => work.message(time, &schedule, now).map(Submission::Message),
        }
    }
}

impl JobWork {
    fn task(&self, time: &Occurrence, now: u64) -> Task {
        let options = Options {
            eta: time.at,
            expires: self
                .options
                .expires
                .map(|seconds| expiry(time, seconds, now)),
            max_retries: self.options.max_retries,
            time_limit: self.options.time_limit,
            priority: self.options.priority,
        };
        Task::new(time.id.clone(), &self.job, self.input.clone(), now).with_options(options)
    }
}

/// The expiry of a time's task, so many seconds after the time. A missed time that is made up for counts from
/// now: its own expiry may have passed.
fn expiry(time: &Occurrence, seconds: u64, now: u64) -> u64 {
    let from = time.at.unwrap_or(now).max(now);
    from.saturating_add(seconds.saturating_mul(1000))
}

/// SQS' longest delay of a message, in seconds.
const MAX_DELAY: u64 = 900;

impl CeleryWork {
    /// Checks that a message can be made, as at each time.
    ///
    /// # Errors
    /// For options of another form, and for a message that SQS does not take.
    pub fn check(&self) -> Result<Outgoing, Unsendable> {
        let id = TaskId::from(Uuid::nil());
        let time = Occurrence {
            after: Some(id.clone()),
            id,
            at: Some(0),
        };
        let schedule = Scheduled {
            name: "s".repeat(crate::tasks::task::MAX_SCHEDULE),
            after: time.after.clone(),
        };
        self.message(&time, &schedule, 0)
    }

    /// The message of one time's task, with the time as its eta.
    fn message(
        &self,
        time: &Occurrence,
        schedule: &Scheduled,
        now: u64,
    ) -> Result<Outgoing, Unsendable> {
        let id = time.id.as_str();
        let sender = Sender {
            id,
            root_id: None,
            seed: id,
            now: time.at.unwrap_or(now).max(now),
            default_queue: DEFAULT_QUEUE,
            origin: "async-service",
            trace: None,
        };
        let signature = Json::object([
            ("task", Json::from(self.task.as_str())),
            ("args", self.args.clone().into()),
            ("kwargs", self.kwargs.clone()),
            ("options", self.options_of(time, schedule, now).into()),
        ]);
        let sent = apply(&sender, signature, &[])?;
        let message = sent.messages.into_iter().next();
        message.ok_or(NotASignature("the signature is no task").into())
    }

    fn options_of(&self, time: &Occurrence, schedule: &Scheduled, now: u64) -> Object {
        let mut options = self.options.as_object().cloned().unwrap_or_default();
        options.insert("task_id", time.id.as_str());
        if let Some(eta) = time.at.filter(|at| *at > now) {
            options.insert("eta", time::format(eta));
            // SQS keeps the message until then; a worker would receive it twice otherwise.
            let seconds = (eta - now).div_ceil(1000).min(MAX_DELAY);
            options.insert("DelaySeconds", seconds);
        }
        let mut headers = match options.remove("headers") {
            Some(Json::Object(headers)) => headers,
            _ => Object::new(),
        };
        headers.insert(SCHEDULE, schedule.name.as_str());
        if let Some(after) = &schedule.after {
            headers.insert(SCHEDULE_AFTER, after.as_str());
        }
        options.insert("headers", headers);
        options
    }
}

/// The name of Celery's default queue, in the properties of a message without another queue.
const DEFAULT_QUEUE: &str = "celery";
