//! A Celery task as a task of the engine: the arguments are the input, and the rest of the message that the
//! task's end needs is the data of the origin.

use serde_json::value::RawValue;

use super::arguments::to_input;
use super::headers::{self, Headers};
use super::message::{Embed, Message, Properties, read_embed};
use super::time;
use super::unlock::CHORD_UNLOCK;
use crate::json::{Json, Object, parse_str};
use crate::tasks::id::TaskId;
use crate::tasks::job::JobError;
use crate::tasks::registry::AnyJob;
use crate::tasks::task::{MAX_SCHEDULE, MAX_TIME_LIMIT, Options, Origin, Scheduled, Task};

/// The header with the name of the schedule that a task is one time of.
pub const SCHEDULE: &str = "async_service_schedule";
/// The header with the id of the task of the schedule's time before; see [`Scheduled::after`].
pub const SCHEDULE_AFTER: &str = "async_service_after";

/// The name of the format in origins.
pub const CELERY: &str = "celery";

/// The parts of a message that a task's end needs.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// What the message says about the task.
    pub headers: Headers,
    /// What the end sets off.
    pub embed: Embed,
    /// The name of the queue in Celery.
    pub queue: Option<String>,
    /// `MessageGroupId` of the message.
    pub message_group: Option<String>,
}

/// The arguments of a task as in its message.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// The positional arguments.
    pub args: Vec<Json>,
    /// The keyword arguments.
    pub kwargs: Object,
}

impl Arguments {
    /// Reads a task's input.
    pub fn read(input: &RawValue) -> Option<Arguments> {
        let mut input = read(input)?.into_object().ok()?;
        let Some(Json::Array(args)) = input.remove("args") else {
            return None;
        };
        let kwargs = input.remove("kwargs")?.into_object().ok()?;
        Some(Arguments { args, kwargs })
    }

    /// The input of a Rust job. `task` is the name of the task.
    ///
    /// # Errors
    /// When the arguments do not fit the job: the attempt has failed with this error.
    pub fn into_input(self, task: &str, job: &dyn AnyJob) -> Result<Box<RawValue>, JobError> {
        let invalid = |message: String| JobError::permanent("TypeError", message);
        let input = to_input(task, job.fields(), self.args, self.kwargs);
        let input = input.map_err(|error| invalid(error.to_string()))?;
        let text = input.to_text();
        let text = text.map_err(|error| invalid(error.to_string()))?;
        RawValue::from_string(text).map_err(|error| invalid(error.to_string()))
    }
}

impl Source {
    /// The source of a task; `None` for a task of another origin.
    pub fn of(task: &Task) -> Option<Source> {
        let origin = task.origin.as_ref()?;
        let mut data = read(origin.data()?)?.into_object().ok()?;
        let mut object = |name| data.remove(name).unwrap_or_default().into_object().ok();
        let (headers, embed) = (object("headers")?, object("embed")?);
        let text = |name: &str| data.get(name).and_then(Json::as_str).map(str::to_owned);
        Some(Source {
            headers: headers::of_protocol_2(&headers).ok()?,
            embed: read_embed(embed).ok()?,
            queue: text("queue"),
            message_group: text("message_group"),
        })
    }

    /// Whether a result is stored.
    pub fn stores_result(&self) -> bool {
        self.headers.ignore_result != Some(true)
    }

    /// The names of what the task's end sets off.
    fn effects(&self) -> Vec<String> {
        let effects = [
            ("result", self.stores_result()),
            ("callbacks", !self.embed.callbacks.is_empty()),
            ("errbacks", !self.embed.errbacks.is_empty()),
            ("chain", !self.embed.chain.is_empty()),
            ("chord", self.embed.chord.is_some()),
            ("unlock", self.headers.task == CHORD_UNLOCK),
        ];
        let effects = effects.into_iter().filter(|(_, is_set)| *is_set);
        effects.map(|(name, _)| name.to_owned()).collect()
    }

    fn into_data(self) -> Box<RawValue> {
        let embed = self.embed;
        let mut parts = Object::new();
        for (name, links) in [
            ("callbacks", embed.callbacks),
            ("errbacks", embed.errbacks),
            ("chain", embed.chain),
        ] {
            if !links.is_empty() {
                parts.insert(name, links);
            }
        }
        if let Some(chord) = embed.chord {
            parts.insert("chord", chord);
        }
        let mut data = Object::new();
        data.insert("headers", to_object(self.headers));
        data.insert("embed", parts);
        for (name, text) in [("queue", self.queue), ("message_group", self.message_group)] {
            if let Some(text) = text {
                data.insert(name, text);
            }
        }
        write(&data.into())
    }
}

/// The task of a message that was submitted at this time, in milliseconds since the Unix epoch; `None` if
/// the id is no task's.
pub fn task_of(message: Message, submitted_at: u64) -> Option<Task> {
    let arguments = Json::object([
        ("args", Json::from(message.args)),
        ("kwargs", message.kwargs.into()),
    ]);
    let input = write(&arguments);
    task(
        message.headers,
        message.embed,
        &message.properties,
        input,
        submitted_at,
    )
}

/// As [`task_of`], for a message whose headers alone could be read.
pub fn task_of_headers(headers: Headers, submitted_at: u64) -> Option<Task> {
    let (embed, properties) = (Embed::default(), Properties::default());
    let input = RawValue::NULL.to_owned();
    task(headers, embed, &properties, input, submitted_at)
}

fn task(
    headers: Headers,
    embed: Embed,
    properties: &Properties,
    input: Box<RawValue>,
    submitted_at: u64,
) -> Option<Task> {
    let id = TaskId::parse(&headers.id)?;
    let options = Options {
        eta: headers.eta,
        expires: headers.expires,
        time_limit: time_limit(&headers),
        ..Options::default()
    };
    let job = headers.task.clone();
    let schedule = schedule(&headers.custom);
    let source = Source {
        headers,
        embed,
        queue: properties.queue().map(str::to_owned),
        message_group: properties.text("MessageGroupId").map(str::to_owned),
    };
    let effects = source.effects();
    let mut task = Task::new(id, &job, input, submitted_at).with_options(options);
    task.origin = Some(Origin::new(CELERY, effects, source.into_data()));
    task.schedule = schedule;
    Some(task)
}

/// The schedule that the task is one time of.
fn schedule(headers: &Object) -> Option<Scheduled> {
    let text = |name| headers.get(name).and_then(Json::as_str);
    let name = text(SCHEDULE).filter(|name| (1..=MAX_SCHEDULE).contains(&name.len()))?;
    Some(Scheduled {
        name: name.to_owned(),
        after: text(SCHEDULE_AFTER).and_then(TaskId::parse),
    })
}

/// The lower of the limits, in whole seconds. A Rust job has one limit.
fn time_limit(headers: &Headers) -> Option<u64> {
    let limits = [headers.time_limit, headers.soft_time_limit];
    let seconds = limits.into_iter().flatten().reduce(f64::min)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the bounds
    let seconds = seconds.ceil().clamp(1.0, MAX_TIME_LIMIT as f64) as u64;
    Some(seconds)
}

/// The headers of protocol 2 that [`Headers`] has as fields, without those that have their default.
fn to_object(headers: Headers) -> Object {
    let time = |at: Option<u64>| Json::from(at.and_then(time::format));
    let limits = [headers.time_limit, headers.soft_time_limit];
    let limits = match limits {
        [None, None] => Json::Null,
        limits => Json::array(limits.map(Json::from)),
    };
    let count = |count: u32| match count {
        0 => Json::Null,
        count => i64::from(count).into(),
    };
    let stamps = match headers.stamps.is_empty() {
        true => Json::Null,
        false => headers.stamps.into(),
    };
    let stamped = match headers.stamped_headers.is_empty() {
        true => Json::Null,
        false => Json::array(headers.stamped_headers),
    };
    let known = [
        ("task", headers.task.into()),
        ("id", headers.id.into()),
        ("shadow", headers.shadow.into()),
        ("eta", time(headers.eta)),
        ("expires", time(headers.expires)),
        ("group", headers.group.into()),
        ("group_index", headers.group_index.map(Json::from).into()),
        ("retries", count(headers.retries)),
        ("timelimit", limits),
        ("root_id", headers.root_id.into()),
        ("parent_id", headers.parent_id.into()),
        ("ignore_result", headers.ignore_result.into()),
        (
            "replaced_task_nesting",
            count(headers.replaced_task_nesting),
        ),
        ("stamped_headers", stamped),
        ("stamps", stamps),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_null());
    let mut all = headers.custom;
    all.extend(known.map(|(name, value)| (name.to_owned(), value)));
    all
}

/// JSON text. A value that is not finite, which Python's JSON has, makes the text no JSON: it is then
/// the content of a JSON string.
fn write(value: &Json) -> Box<RawValue> {
    let text = value.to_string();
    let quoted = |_| {
        let quoted = Json::from(value.to_string()).to_string();
        RawValue::from_string(quoted).unwrap_or_default()
    };
    RawValue::from_string(text).unwrap_or_else(quoted)
}

/// As written by [`write`].
fn read(text: &RawValue) -> Option<Json> {
    match parse_str(text.get()).ok()? {
        Json::String(inner) => parse_str(&inner).ok(),
        value => Some(value),
    }
}
