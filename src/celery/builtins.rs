//! The tasks that Celery itself brings, as jobs.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::origin::Arguments;
use super::unlock::CHORD_UNLOCK;
use crate::json::{Json, Object};
use crate::tasks::job::JobError;
use crate::tasks::registry::{AnyJob, Call, Output, Registry};

const BUILTINS: [(&str, Kind); 5] = [
    ("celery.map", Kind::Map),
    ("celery.starmap", Kind::Starmap),
    ("celery.accumulate", Kind::Accumulate),
    ("celery.backend_cleanup", Kind::Nothing),
    (CHORD_UNLOCK, Kind::Nothing),
];

/// One of Celery's own tasks. Its input is the arguments as in the message.
struct Builtin {
    kind: Kind,
    /// The jobs that a map calls.
    jobs: Registry,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Calls a task with each element as the argument.
    Map,
    /// Calls a task with each element as the arguments.
    Starmap,
    /// Gives its arguments, or one of them.
    Accumulate,
    /// Does nothing: DynamoDB deletes old results, and a chord is joined as an effect of the task's end.
    Nothing,
}

/// Whether a task is one of Celery's own.
pub fn is_builtin(name: &str) -> bool {
    BUILTINS.iter().any(|(builtin, _)| *builtin == name)
}

/// The name of the task that a map calls with each element; `None` for a task that is no map.
pub fn mapped_task<'a>(name: &str, kwargs: &'a Object) -> Option<&'a str> {
    let is_map = matches!(name, "celery.map" | "celery.starmap");
    let task = kwargs.get("task").filter(|_| is_map)?;
    task.get("task")?.as_str()
}

/// The jobs with Celery's own tasks.
pub fn with_builtins(jobs: Registry) -> Registry {
    let builtins = BUILTINS.into_iter();
    builtins.fold(jobs.clone(), |all, (name, kind)| {
        let jobs = jobs.clone();
        all.with_any(name, Arc::new(Builtin { kind, jobs }))
    })
}

impl AnyJob for Builtin {
    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
        Box::pin(async move {
            let invalid = || JobError::permanent("TypeError", "the arguments are unreadable");
            let arguments = Arguments::read(&call.input).ok_or_else(invalid)?;
            match self.kind {
                Kind::Map | Kind::Starmap => self.map(arguments, call).await,
                Kind::Accumulate => accumulate(arguments).map(Output::from),
                Kind::Nothing => Ok(RawValue::NULL.to_owned().into()),
            }
        })
    }
}

impl Builtin {
    /// Calls a task with each element, one after the other. A remote task's code has a map of its own.
    async fn map(&self, arguments: Arguments, call: Call) -> Result<Output, JobError> {
        let invalid = |message: &str| JobError::permanent("TypeError", message);
        let mut kwargs = arguments.kwargs;
        let task = kwargs.get("task").and_then(|task| task.get("task"));
        let task = task.and_then(Json::as_str);
        let task = task.ok_or_else(|| invalid("the task of a map is missing"))?;
        let task = task.to_owned();
        let Some(Json::Array(elements)) = kwargs.remove("it") else {
            return Err(invalid("the elements of a map are missing"));
        };
        let job = self.jobs.find(&task);
        let job = job.ok_or_else(|| JobError::permanent("NotRegistered", task.clone()))?;
        if job.is_remote() {
            return job.run(call).await;
        }
        let mut results = Vec::with_capacity(elements.len());
        for element in elements {
            let args = match (self.kind, element) {
                (Kind::Starmap, Json::Array(args)) => args,
                (_, element) => vec![element],
            };
            let kwargs = Object::new();
            let input = Arguments { args, kwargs }.into_input(&task, job.as_ref())?;
            let output = Arc::clone(&job).run(call.with_input(input)).await?;
            results.push(output.json.get().to_owned());
        }
        raw(format!("[{}]", results.join(","))).map(Output::from)
    }
}

/// The positional arguments, or the one that `index` names.
fn accumulate(arguments: Arguments) -> Result<Box<RawValue>, JobError> {
    let index = arguments.kwargs.get("index").and_then(Json::as_i64);
    let value = match index {
        None => Json::Array(arguments.args),
        Some(index) => {
            let at = usize::try_from(index).ok();
            let found = at.and_then(|at| arguments.args.into_iter().nth(at));
            found.ok_or_else(|| JobError::permanent("IndexError", "tuple index out of range"))?
        }
    };
    let text = value.to_text();
    raw(text.map_err(|error| JobError::permanent("TypeError", error.to_string()))?)
}

fn raw(json: String) -> Result<Box<RawValue>, JobError> {
    RawValue::from_string(json).map_err(|error| JobError::permanent("TypeError", error.to_string()))
}
