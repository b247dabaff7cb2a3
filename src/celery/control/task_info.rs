//! A task as workers of Celery describe it.

use crate::celery::origin::{Arguments, CELERY};
use crate::celery::time;
use crate::json::{Json, Object, parse_str};
use crate::tasks::record::TaskRecord;

/// The description of a task, for `active`, `reserved` and others. What is unknown is null: the arguments
/// are in the record up to 512 bytes, and the queue is not.
pub(super) fn task_info(record: &TaskRecord, hostname: &str) -> Json {
    let (args, kwargs) = arguments(record);
    let name = Json::from(record.job.clone());
    let started = record.attempts.last().map(|attempt| attempt.started_at);
    let delivery = Json::object([
        ("exchange", Json::Null),
        ("routing_key", Json::Null),
        ("priority", Json::Null),
        ("redelivered", (record.attempts.len() > 1).into()),
    ]);
    Json::object([
        ("id", Json::from(record.id.as_str())),
        ("name", name.clone()),
        ("args", args),
        ("kwargs", kwargs),
        ("type", name),
        ("hostname", hostname.into()),
        ("time_start", started.map(seconds).into()),
        // The message is acknowledged when the task has ended.
        ("acknowledged", false.into()),
        ("delivery_info", delivery),
        ("worker_pid", Json::Null),
    ])
}

/// The description of a task that waits for its time.
pub(super) fn scheduled_info(record: &TaskRecord, hostname: &str) -> Json {
    let at = record.next_at.or(record.options.eta);
    Json::object([
        ("eta", Json::from(at.and_then(time::format))),
        ("priority", 6.into()),
        ("request", task_info(record, hostname)),
    ])
}

/// The positional arguments and the keyword arguments of a task, null for those that are not in the record. An
/// input of the service's own is either.
pub fn arguments(record: &TaskRecord) -> (Json, Json) {
    let Some(input) = &record.input else {
        return (Json::Null, Json::Null);
    };
    if record.origin.as_deref() == Some(CELERY) {
        let read = Arguments::read(input);
        return read.map_or((Json::Null, Json::Null), |read| {
            (read.args.into(), read.kwargs.into())
        });
    }
    match parse_str(input.get()) {
        Ok(Json::Object(fields)) => (Json::Array(Vec::new()), fields.into()),
        Ok(value) => (Json::array([value]), Object::new().into()),
        Err(_) => (Json::Null, Json::Null),
    }
}

/// A time of Python: seconds since the Unix epoch.
fn seconds(milliseconds: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // exact for times of this age
    let seconds = milliseconds as f64 / 1000.0;
    seconds
}
