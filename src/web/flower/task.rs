//! A task as Flower shows it.

use crate::celery::control::arguments;
use crate::celery::python;
use crate::celery::result::{Exception, Revoked};
use crate::celery::time;
use crate::json::{Json, Object, parse_str};
use crate::tasks::record::{TaskError, TaskRecord};
use crate::tasks::state::State;

use super::search::Document;

/// The states of Celery that tasks have here, each with the states of this service.
const STATES: [(&str, &[State]); 6] = [
    (
        "RECEIVED",
        &[State::Scheduled, State::Pending, State::Moved],
    ),
    ("STARTED", &[State::Running]),
    ("RETRY", &[State::Retrying]),
    ("SUCCESS", &[State::Completed]),
    ("FAILURE", &[State::Failed]),
    ("REVOKED", &[State::Cancelled, State::Expired]),
];

/// Celery's name of a state, as a worker's events tell it.
pub(super) fn state_name(state: State) -> &'static str {
    let found = STATES.iter().find(|(_, states)| states.contains(&state));
    found.map_or("PENDING", |(name, _)| name)
}

/// Celery's name of a state, as a result tells it: a waiting task has none.
pub(super) fn result_state(state: State) -> &'static str {
    match state_name(state) {
        "RECEIVED" => "PENDING",
        name => name,
    }
}

/// The states that Celery's name stands for. Empty for a state that no task has here.
pub(super) fn states_of(name: &str) -> &'static [State] {
    let found = STATES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or(&[], |(_, states)| states)
}

/// A task with the texts that Flower shows and searches.
#[derive(Debug)]
pub(super) struct Shown {
    pub id: String,
    pub name: Option<String>,
    pub state: &'static str,
    /// When the task was accepted, began and ended, in milliseconds since the Unix epoch.
    pub received: u64,
    pub started: Option<u64>,
    ended: Option<u64>,
    /// When the last attempt but the present one failed.
    retried: Option<u64>,
    retries: u32,
    args: Option<String>,
    kwargs: Option<String>,
    /// The keyword arguments, each as `key=value`.
    pairs: Vec<String>,
    result: Option<String>,
    exception: Option<String>,
    traceback: Option<String>,
    eta: Option<u64>,
    expires: Option<u64>,
    pub worker: Option<String>,
    caller: Option<String>,
}

impl Shown {
    /// A record as Flower shows it. `worker` is the name of the worker that runs tasks of this name.
    pub fn new(record: &TaskRecord, worker: impl FnOnce(&str) -> String) -> Shown {
        let (args, kwargs) = arguments(record);
        let has_failed = record.state == State::Failed || record.state == State::Retrying;
        let error = record.error.as_ref().filter(|_| has_failed);
        let job = record.job.as_deref().unwrap_or_default();
        let exception = error.map(|error| exception(job, record, error));
        let failed_before = record.attempts.iter().rev();
        let mut failed_before = failed_before.filter(|attempt| attempt.error.is_some());
        Shown {
            id: record.id.to_string(),
            name: record.job.clone(),
            state: state_name(record.state),
            received: record.created_at,
            started: record.started_at,
            ended: record.finished_at,
            retried: failed_before
                .next()
                .and_then(|attempt| attempt.ended_at)
                .filter(|_| record.state != State::Failed || record.attempt > 1),
            retries: record.attempt.saturating_sub(1),
            pairs: kwargs.as_object().map(pairs).unwrap_or_default(),
            args: args.as_array().map(python::args),
            kwargs: kwargs.as_object().map(python::kwargs),
            result: result_repr(record),
            traceback: exception.as_ref().map(|exception| {
                let given = error.and_then(|error| error.traceback.as_deref());
                exception.traceback_or(given, job).into_owned()
            }),
            exception: exception.map(|exception| exception.repr()),
            eta: record.options.eta,
            expires: record.options.expires,
            worker: record.job.as_deref().map(worker),
            caller: record.caller.clone(),
        }
    }

    /// When the task entered its state, in milliseconds since the Unix epoch.
    fn changed(&self) -> u64 {
        let began = self.started.unwrap_or(self.received);
        self.ended.or(self.retried).unwrap_or(began).max(began)
    }

    /// The answer of `task/info`.
    pub fn to_json(&self) -> Json {
        let ended_as = |state| self.ended.filter(|_| self.state == state).map(seconds);
        let ran = self.started.zip(self.ended);
        let runtime = ran.filter(|_| self.state == "SUCCESS");
        let text = |text: &Option<String>| Json::from(text.clone());
        let iso = |at: Option<u64>| Json::from(at.and_then(time::format));
        Json::object([
            ("uuid", Json::from(self.id.as_str())),
            ("name", text(&self.name)),
            ("state", self.state.into()),
            ("received", seconds(self.received).into()),
            ("sent", Json::Null),
            ("started", self.started.map(seconds).into()),
            ("rejected", Json::Null),
            ("succeeded", ended_as("SUCCESS").into()),
            ("failed", ended_as("FAILURE").into()),
            ("retried", self.retried.map(seconds).into()),
            ("revoked", ended_as("REVOKED").into()),
            ("args", text(&self.args)),
            ("kwargs", text(&self.kwargs)),
            ("eta", iso(self.eta)),
            ("expires", iso(self.expires)),
            ("retries", self.retries.into()),
            ("worker", text(&self.worker)),
            ("result", text(&self.result)),
            ("exception", text(&self.exception)),
            ("timestamp", seconds(self.changed()).into()),
            (
                "runtime",
                runtime
                    .map(|(began, ended)| seconds(ended.saturating_sub(began)))
                    .into(),
            ),
            ("traceback", text(&self.traceback)),
            ("exchange", Json::Null),
            ("routing_key", Json::Null),
            ("clock", 0.into()),
            ("client", text(&self.caller)),
            ("root", self.id.as_str().into()),
            ("root_id", self.id.as_str().into()),
            ("parent", Json::Null),
            ("parent_id", Json::Null),
            ("children", Json::Array(Vec::new())),
        ])
    }

    /// What a search looks at.
    pub fn document(&self) -> Document {
        let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
        Document {
            uuid: self.id.to_lowercase(),
            name: lower(&self.name),
            state: self.state.to_lowercase(),
            worker: lower(&self.worker),
            args: lower(&self.args),
            kwargs: lower(&self.kwargs),
            result: lower(&self.result),
            pairs: self.pairs.iter().map(|pair| pair.to_lowercase()).collect(),
        }
    }
}

/// Each argument as `key=value`, with the value as Python's `str` has it.
fn pairs(kwargs: &Object) -> Vec<String> {
    let pair = |(key, value): (&String, &Json)| match value {
        Json::String(text) => format!("{key}={text}"),
        value => format!("{key}={}", python::value(value)),
    };
    kwargs.iter().map(pair).collect()
}

/// The result as Python's `repr` has it; `None` for a task without one, and for a result that is not in the
/// record.
fn result_repr(record: &TaskRecord) -> Option<String> {
    let result = record
        .result
        .as_ref()
        .filter(|_| record.state == State::Completed)?;
    Some(python::value(&parse_str(result.get()).ok()?))
}

/// The error of a task as the exception that Celery's clients get.
fn exception(job: &str, record: &TaskRecord, error: &TaskError) -> Exception {
    let (kind, message) = (&*error.kind, &*error.message);
    if let Some(module) = &error.module {
        return Exception::new(module, kind, message);
    }
    let refusal = Exception::of_refusal(kind, message).filter(|_| record.attempt == 0);
    refusal.unwrap_or_else(|| Exception::of_error(job, kind, message))
}

/// What a result tells of a task that ended without one: the exception as Python's `repr` has it, and the traceback.
pub(super) fn failure_of(record: &TaskRecord) -> Option<(String, Option<String>)> {
    let job = record.job.as_deref().unwrap_or_default();
    let revoked = |why| Some((Exception::revoked(why).repr(), None));
    match record.state {
        State::Failed => {
            let unknown = TaskError::new("RuntimeError", "the task failed");
            let error = record.error.as_ref().unwrap_or(&unknown);
            let exception = exception(job, record, error);
            let traceback = exception.traceback_or(error.traceback.as_deref(), job);
            Some((exception.repr(), Some(traceback.into_owned())))
        }
        State::Expired => revoked(Revoked::Expired),
        State::Cancelled if record.started_at.is_some() => revoked(Revoked::Terminated),
        State::Cancelled => revoked(Revoked::BeforeStart),
        _ => None,
    }
}

/// A time of Python: seconds, of milliseconds.
pub(super) fn seconds(milliseconds: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // exact for times of this age
    let seconds = milliseconds as f64 / 1000.0;
    seconds
}
