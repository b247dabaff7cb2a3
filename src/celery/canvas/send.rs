//! Makes a message of a signature of one task.

use uuid::Uuid;

use super::{Canvas, DERIVED, MAX_TOTAL, Outgoing, Unsendable};
use crate::celery::encode::{Content, encode};
use crate::celery::signature::{Signature, links};
use crate::celery::{python, time};
use crate::json::{Json, Object};
use crate::trace::{TRACEPARENT, TRACESTATE, Trace};

/// Options that are properties of kombu.
const PROPERTIES: [&str; 3] = ["MessageGroupId", "MessageDeduplicationId", "DelaySeconds"];
/// SQS' longest delay of a message, in seconds.
const MAX_DELAY: i32 = 900;

impl Canvas<'_> {
    /// Adds the message of a task. Returns the task's id.
    pub(super) fn send(&mut self, mut signature: Signature) -> Result<String, Unsendable> {
        let id = match signature.option("task_id") {
            Some(id) => id.to_owned(),
            None => self.new_id(),
        };
        let text = |name| signature.option(name).map(str::to_owned);
        let queue = text("queue");
        let (message_group, deduplication) = (text(PROPERTIES[0]), text(PROPERTIES[1]));
        let options = &mut signature.options;
        let delay = options.get(PROPERTIES[2]).and_then(Json::as_i64);
        let delay = delay.and_then(|seconds| i32::try_from(seconds).ok());
        let expires = self.instant(options, "expires");
        let properties = self.properties(options, &id, queue.as_deref(), expires);
        let mut content = take_embed(options);
        let headers = self.headers(&mut signature, &id, expires);
        let task = signature.task;
        content.args = signature.args;
        content.kwargs = signature.kwargs;
        let body = encode(headers, content, properties)?;
        self.total += body.len();
        if self.total > MAX_TOTAL {
            return Err(Unsendable::TooMuch);
        }
        self.sent.messages.push(Outgoing {
            queue,
            task,
            id: id.clone(),
            body,
            message_group,
            deduplication,
            delay: delay.filter(|seconds| (0..=MAX_DELAY).contains(seconds)),
        });
        Ok(id)
    }

    fn headers(&self, signature: &mut Signature, id: &str, expires: Option<u64>) -> Object {
        let (stamped, stamps) = take_stamps(&mut signature.options);
        let countdown = signature.options.remove("countdown");
        let delay = countdown.and_then(|seconds| after(self.sender.now, &seconds));
        let eta = delay.or_else(|| self.instant(&signature.options, "eta"));
        let mut take = |name| signature.options.remove(name).unwrap_or_default();
        let iso = |at: Option<u64>| Json::from(at.and_then(time::format));
        let limits = vec![take("time_limit"), take("soft_time_limit")];
        let root = self.sender.root_id.unwrap_or(self.sender.id);
        let custom = take("headers");
        // A task that nobody sent but itself, as of a schedule, has no parent.
        let parent = Some(self.sender.id).filter(|sender| *sender != id);
        let mut headers = named([
            ("lang", "py".into()),
            ("task", signature.task.as_str().into()),
            ("id", id.into()),
            ("shadow", take("shadow")),
            ("eta", iso(eta)),
            ("expires", iso(expires)),
            ("group", take("group_id")),
            ("group_index", take("group_index")),
            ("retries", or(take("retries"), 0)),
            ("timelimit", limits.into()),
            ("root_id", or(take("root_id"), root)),
            ("parent_id", or(take("parent_id"), parent)),
            ("argsrepr", python::args(&signature.args).into()),
            ("kwargsrepr", python::kwargs(&signature.kwargs).into()),
            ("origin", self.sender.origin.into()),
            // Null leaves it to the task.
            ("ignore_result", take("ignore_result")),
            (
                "replaced_task_nesting",
                or(take("replaced_task_nesting"), 0),
            ),
            ("stamped_headers", stamped),
            ("stamps", stamps.into()),
        ]);
        headers.extend(custom.into_object().unwrap_or_default());
        headers.extend(self.sender.trace.map(trace_headers).unwrap_or_default());
        headers
    }

    fn properties(
        &self,
        options: &Object,
        id: &str,
        queue: Option<&str>,
        expires: Option<u64>,
    ) -> Object {
        let queue = queue.unwrap_or(self.sender.default_queue);
        let info = [("exchange", Json::from("")), ("routing_key", queue.into())];
        let reply_to = options.get("reply_to").and_then(Json::as_str);
        let priority = options.get("priority").cloned();
        let tag = format!("{}/{}/{id}", self.sender.seed, self.sent.messages.len());
        let tag = Uuid::new_v5(&DERIVED, tag.as_bytes());
        let mut properties = named([
            ("correlation_id", id.into()),
            ("reply_to", reply_to.unwrap_or_default().into()),
            ("delivery_mode", 2.into()),
            ("delivery_info", Json::object(info)),
            ("priority", priority.unwrap_or(0.into())),
            ("body_encoding", "base64".into()),
            ("delivery_tag", tag.to_string().into()),
        ]);
        if let Some(expires) = expires {
            let left = expires.saturating_sub(self.sender.now);
            properties.insert("expiration", left.to_string());
        }
        for name in PROPERTIES {
            if let Some(value) = options.get(name) {
                properties.insert(name, value.clone());
            }
        }
        properties
    }

    /// A time of the options: seconds from now, a text, or a typed value of kombu.
    fn instant(&self, options: &Object, name: &str) -> Option<u64> {
        let value = options.get(name)?;
        match value {
            Json::String(text) => time::parse(text),
            Json::Object(typed) => time::parse(typed.get("__value__")?.as_str()?),
            seconds => after(self.sender.now, seconds),
        }
    }
}

/// The headers of a message that goes on in a trace, as OpenTelemetry's instrumentation of Celery has them.
pub(in crate::celery) fn trace_headers(trace: &Trace) -> Object {
    let state = trace
        .tracestate()
        .map(|state| (TRACESTATE, state.to_owned()));
    let headers = [(TRACEPARENT, trace.traceparent())]
        .into_iter()
        .chain(state);
    headers
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// What the end of the task sets off, removed from the options.
fn take_embed(options: &mut Object) -> Content {
    let mut list = |name| match links(options.remove(name)) {
        links if links.is_empty() => Json::Null,
        links => links.into(),
    };
    Content {
        callbacks: list("link"),
        errbacks: list("link_error"),
        chain: options.remove("chain").unwrap_or_default(),
        chord: options.remove("chord").unwrap_or_default(),
        ..Content::default()
    }
}

/// The names of the stamps and their values, removed from the options.
fn take_stamps(options: &mut Object) -> (Json, Object) {
    let stamped = options.remove("stamped_headers").unwrap_or_default();
    let names = stamped.as_array().unwrap_or_default().iter();
    let mut stamps = Object::new();
    for name in names.filter_map(Json::as_str) {
        stamps.insert(name, options.remove(name).unwrap_or_default());
    }
    (stamped, stamps)
}

fn named<const N: usize>(members: [(&str, Json); N]) -> Object {
    let members = members.into_iter();
    members
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn or(value: Json, default: impl Into<Json>) -> Json {
    if value.is_null() {
        default.into()
    } else {
        value
    }
}

/// The time so many seconds after `now`, in milliseconds since the Unix epoch; `None` for no seconds.
fn after(now: u64, seconds: &Json) -> Option<u64> {
    let milliseconds = seconds.as_f64().filter(|seconds| *seconds != 0.0)? * 1000.0;
    // The conversion stops at the bounds of the type.
    #[allow(clippy::cast_possible_truncation)]
    let milliseconds = milliseconds.ceil() as i64;
    now.checked_add_signed(milliseconds)
}
