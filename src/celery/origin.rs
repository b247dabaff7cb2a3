//! A Celery task as a task of the engine: the arguments are the input, and the rest of the message that the
//! task's end needs is the data of the origin.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::arguments::to_input;
use super::generation::generation;
use super::headers::{self, Headers};
use super::message::{Embed, Message, Properties, Sealed, read_embed};
use super::remote::kept::{kept_headers, kept_properties};
use super::time;
use super::unlock::CHORD_UNLOCK;
use crate::json::{Json, Object, parse_str};
use crate::tasks::id::TaskId;
use crate::tasks::job::JobError;
use crate::tasks::registry::AnyJob;
use crate::tasks::task::{MAX_SCHEDULE, MAX_TIME_LIMIT, Options, Origin, Scheduled, Task};
use crate::trace::{TRACEPARENT, TRACESTATE, Trace};

/// The header with the name of the schedule that a task is one time of.
pub const SCHEDULE: &str = "async_service_schedule";
/// The header with the id of the task of the schedule's time before; see [`Scheduled::after`].
pub const SCHEDULE_AFTER: &str = "async_service_after";

/// The name of the effect that stores a task's result.
pub const RESULT: &str = "result";

/// The name of the format in origins.
pub const CELERY: &str = "celery";

/// The time in seconds that the function of a remote body has to answer after the hard time limit.
const GRACE: f64 = 2.0;

/// The parts of a message that a task's end needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// What the message says about the task.
    pub headers: Headers,
    /// What the end sets off. Empty for a sealed message, whose end only the function knows that runs the task.
    pub embed: Embed,
    /// What the message says about its delivery: the queue, and all that is kept for a remote body.
    pub properties: Properties,
    /// Whether the arguments were not read.
    pub is_sealed: bool,
    /// Whether the body is remote: its function keeps the time limits.
    pub is_remote: bool,
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
    /// Reads a task's input; `None` for arguments that were not read from their message.
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
    /// The source of a task, parsed once; `None` for a task of another origin.
    pub fn of(task: &Task) -> Option<Arc<Source>> {
        let origin = task.origin.as_ref()?;
        origin.parsed(Source::of_data)
    }

    /// The source of the data of an origin; `None` for unreadable data.
    pub fn of_data(data: &RawValue) -> Option<Source> {
        Source::read(read(data)?.into_object().ok()?)
    }

    fn read(mut data: Object) -> Option<Source> {
        let mut object = |name| data.remove(name)?.into_object().ok();
        let (headers, embed) = (object("headers")?, object("embed"));
        let properties = object("properties").unwrap_or_default();
        Some(Source {
            headers: headers::of_protocol_2(&headers).ok()?,
            is_sealed: embed.is_none(),
            embed: read_embed(embed.unwrap_or_default()).ok()?,
            properties: Properties { all: properties },
            is_remote: data.remove("remote").is_some(),
        })
    }

    /// Whether a result is stored.
    pub fn stores_result(&self) -> bool {
        self.headers.ignore_result != Some(true)
    }

    /// Whether the end may count in a chord: a member of a group whose message was not read may be one.
    pub fn counts(&self) -> bool {
        self.headers.group.is_some() && (self.embed.chord.is_some() || self.is_sealed)
    }
}

/// The data of a task's origin; `None` for a task of another origin.
pub(super) fn data_of(task: &Task) -> Option<Object> {
    let origin = task.origin.as_ref()?;
    read(origin.data()?)?.into_object().ok()
}

/// The task of a message that was submitted at this time, in milliseconds since the Unix epoch; `None` if
/// the id is no task's. The origin of a task with a remote body keeps all headers and properties.
pub fn task_of(message: Message, submitted_at: u64, is_remote: bool) -> Option<Task> {
    let (args, kwargs) = (message.args, message.kwargs);
    let source = Source {
        headers: message.headers,
        embed: message.embed,
        properties: message.properties,
        is_sealed: false,
        is_remote,
    };
    let arguments = Arguments { args, kwargs };
    let all_headers = is_remote.then(|| {
        let all = match message.all_headers.is_empty() {
            true => to_object(source.headers.clone()),
            false => message.all_headers,
        };
        kept_headers(all, &source.headers.id, Some(&arguments))
    });
    let input = Json::object([
        ("args", Json::from(arguments.args)),
        ("kwargs", arguments.kwargs.into()),
    ]);
    task(source, all_headers, write(&input), submitted_at)
}

/// As [`task_of`], for a message whose arguments the function of the remote body reads.
pub fn task_of_sealed(sealed: Sealed, submitted_at: u64) -> Option<Task> {
    let source = Source {
        headers: sealed.headers,
        embed: Embed::default(),
        properties: sealed.properties,
        is_sealed: true,
        is_remote: true,
    };
    let all_headers = kept_headers(sealed.all_headers, &source.headers.id, None);
    let content = sealed.content;
    let input = Json::object([
        ("body", Json::from(content.body)),
        ("content_type", content.content_type.into()),
        ("content_encoding", content.content_encoding.into()),
    ]);
    task(source, Some(all_headers), write(&input), submitted_at)
}

/// As [`task_of`], for a message whose headers alone could be read.
pub fn task_of_headers(headers: Headers, submitted_at: u64) -> Option<Task> {
    let source = Source {
        headers,
        ..Source::default()
    };
    task(source, None, RawValue::NULL.to_owned(), submitted_at)
}

/// `all_headers` are those that the function of a remote body gets.
fn task(
    mut source: Source,
    mut all_headers: Option<Object>,
    input: Box<RawValue>,
    submitted_at: u64,
) -> Option<Task> {
    let trace = trace(&source.headers.custom);
    if trace.is_some() {
        // The task has the trace, and its origin had better be small.
        let kept = [Some(&mut source.headers.custom), all_headers.as_mut()];
        for headers in kept.into_iter().flatten() {
            headers.remove(TRACEPARENT);
            headers.remove(TRACESTATE);
        }
    }
    let headers = &source.headers;
    let id = TaskId::parse(&headers.id)?;
    let options = Options {
        eta: headers.eta,
        expires: headers.expires,
        time_limit: time_limit(headers, source.is_remote),
        ..Options::default()
    };
    let job = headers.task.clone();
    let generation = generation(headers);
    let schedule = schedule(&headers.custom);
    let (data, source) = source.into_data(all_headers);
    let mut task = Task::new(id, &job, input, submitted_at).with_options(options);
    task.generation = generation;
    task.schedule = schedule;
    task.trace = trace;
    let origin = Origin::new(CELERY, source.effects(), data);
    task.origin = Some(match source.is_remote {
        // The data of a remote task leaves defaults out.
        true => origin,
        false => origin.with_parsed(source),
    });
    Some(task)
}

/// The trace of a message, as OpenTelemetry's instrumentation of Celery writes it; `None` for a header that is
/// not valid.
fn trace(headers: &Object) -> Option<Trace> {
    let text = |name| headers.get(name).and_then(Json::as_str);
    Trace::new(text(TRACEPARENT)?, text(TRACESTATE))
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

impl Source {
    /// The names of what the task's end sets off.
    fn effects(&self) -> Vec<String> {
        let effects = [
            (RESULT, self.stores_result()),
            ("callbacks", !self.embed.callbacks.is_empty()),
            ("errbacks", !self.embed.errbacks.is_empty()),
            ("chain", !self.embed.chain.is_empty()),
            ("chord", self.counts()),
            ("unlock", self.headers.task == CHORD_UNLOCK),
        ];
        let effects = effects.into_iter().filter(|(_, is_set)| *is_set);
        effects.map(|(name, _)| name.to_owned()).collect()
    }

    /// The data of an origin: with `all_headers` for a remote body, else with what the end alone needs. Returns
    /// the source of the data, too.
    fn into_data(mut self, all_headers: Option<Object>) -> (Box<RawValue>, Source) {
        let properties = match &all_headers {
            Some(_) => kept_properties(std::mem::take(&mut self.properties.all)),
            None => self.properties.queue().map(of_queue).unwrap_or_default(),
        };
        let headers = all_headers.unwrap_or_else(|| to_object(self.headers.clone()));
        let mut data = Object::new();
        if self.is_remote {
            data.insert("remote", true);
        }
        data.insert("headers", headers);
        if !self.is_sealed {
            data.insert("embed", to_parts(self.embed.clone()));
        }
        if !properties.is_empty() {
            data.insert("properties", properties.clone());
        }
        self.properties.all = properties;
        (write(&data.into()), self)
    }
}

/// What is set of the embed.
fn to_parts(embed: Embed) -> Object {
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
    parts
}

/// Properties with nothing but the name of the queue.
fn of_queue(queue: &str) -> Object {
    let info = Json::object([("routing_key", queue)].map(|(name, queue)| (name, queue.into())));
    [("delivery_info".to_owned(), info)].into_iter().collect()
}

/// The time limit of an attempt in whole seconds: the lower of the limits, as a Rust job has one limit. The
/// function of a remote body keeps both limits itself, and gets some time to tell that it did.
fn time_limit(headers: &Headers, is_remote: bool) -> Option<u64> {
    let limits = match is_remote {
        true => [headers.time_limit.map(|limit| limit + GRACE), None],
        false => [headers.time_limit, headers.soft_time_limit],
    };
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
pub(super) fn write(value: &Json) -> Box<RawValue> {
    let text = value.to_string();
    let quoted = |_| {
        let quoted = Json::from(value.to_string()).to_string();
        RawValue::from_string(quoted).unwrap_or_default()
    };
    RawValue::from_string(text).unwrap_or_else(quoted)
}

/// As written by [`write`].
pub(super) fn read(text: &RawValue) -> Option<Json> {
    match parse_str(text.get()).ok()? {
        Json::String(inner) => parse_str(&inner).ok(),
        value => Some(value),
    }
}
