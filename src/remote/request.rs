//! The request to a body: a JSON object, the event of a Lambda function or the body of a POST.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::progress::{ProgressLinks, Reporter};
use crate::tasks::format::Format;
use crate::tasks::id::TaskId;
use crate::tasks::registry::Call;
use crate::tasks::task::Task;

/// The version of the request.
const VERSION: u32 = 1;

/// The task of a request.
#[derive(Serialize)]
struct TaskPart<'a> {
    id: &'a TaskId,
    job: &'a str,
    run: u32,
    attempt: u32,
    submitted_at: u64,
    caller: Option<&'a str>,
}

/// A request.
struct Request<'a> {
    call: &'a Call,
    progress_url: Option<String>,
    /// The name and the value of what the body works on.
    work: (&'a str, &'a RawValue),
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Call { task, context, .. } = self.call;
        let part = TaskPart {
            id: &task.id,
            job: &task.job,
            run: task.run,
            attempt: context.attempt,
            submitted_at: task.submitted_at,
            caller: task.caller.as_deref(),
        };
        let limit = self.call.limit.map(|limit| limit.as_secs_f64());
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("version", &VERSION)?;
        members.serialize_entry("task", &part)?;
        members.serialize_entry("deadline", &self.call.deadline)?;
        members.serialize_entry("time_limit", &limit)?;
        members.serialize_entry("progress_url", &self.progress_url)?;
        if let Some(trace) = context.trace() {
            members.serialize_entry("trace", trace)?;
        }
        members.serialize_entry(self.work.0, self.work.1)?;
        members.end()
    }
}

/// The format of a task's origin.
pub fn format_of<'a>(formats: &'a [Arc<dyn Format>], task: &Task) -> Option<&'a dyn Format> {
    let name = task.origin.as_ref()?.format.as_str();
    let mut formats = formats.iter().map(Arc::as_ref);
    formats.find(|format| format.name() == name)
}

/// The request of an attempt, as JSON text.
///
/// # Errors
/// None in practice: every request can be written as JSON.
pub fn request(
    call: &Call,
    format: Option<&dyn Format>,
    links: Option<&ProgressLinks>,
) -> serde_json::Result<String> {
    let foreign = format.and_then(|format| {
        let part = format.remote(&call.task, &call.input, call.context.trace())?;
        Some((format.name(), part))
    });
    let work = match &foreign {
        Some((name, part)) => (*name, part.as_ref()),
        None => ("input", call.input.as_ref()),
    };
    let reporter = Reporter {
        run: call.task.run,
        attempt: call.context.attempt,
    };
    serde_json::to_string(&Request {
        call,
        progress_url: links.map(|links| links.of(&call.task.id, reporter)),
        work,
    })
}

/// The name of an attempt, unique among all attempts of all tasks.
pub fn attempt_id(call: &Call) -> String {
    format!(
        "{}.{}.{}",
        call.task.id, call.task.run, call.context.attempt
    )
}
