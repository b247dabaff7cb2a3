//! Failures as Python exceptions.

use std::borrow::Cow;

use crate::json::{Json, Object};

/// Exceptions of Python's `builtins` that can be made of one message.
const BUILTINS: [&str; 24] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BufferError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "EOFError",
    "Exception",
    "FileExistsError",
    "FileNotFoundError",
    "IndexError",
    "KeyError",
    "LookupError",
    "MemoryError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PermissionError",
    "RuntimeError",
    "TimeoutError",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
];

/// An exception as Celery stores it: the client makes an exception of the class again, with these
/// arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// The class, with the classes around it: `Outer.Inner`.
    pub exc_type: String,
    /// The arguments of the exception.
    pub exc_message: Vec<Json>,
    /// The module of the class; without one, the client makes a class of its own.
    pub exc_module: Option<String>,
}

/// Why a task was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It did not start before it expired.
    Expired,
    /// It was revoked before it started.
    BeforeStart,
    /// It was revoked while it ran.
    Terminated,
}

impl Exception {
    /// An exception with one argument.
    pub fn new(module: &str, class: &str, argument: impl Into<Json>) -> Exception {
        Exception {
            exc_type: class.to_owned(),
            exc_message: vec![argument.into()],
            exc_module: Some(module.to_owned()),
        }
    }

    /// The exception of an error of this service: of a job of its own, or of the engine. `task` is the name of
    /// the task. For a time limit that is known, see [`Exception::time_limit`].
    ///
    /// A job that takes over a task of Python gives its errors the names of Python's own exceptions
    /// (`ValueError`), and callers catch them as before. Every other kind becomes a `RuntimeError` of
    /// `Kind: message`: clients have this class, so the exception can be caught, made from one
    /// argument and pickled. A class named after the kind exists in no module, so each client would
    /// invent its own.
    pub fn of_error(task: &str, kind: &str, message: &str) -> Exception {
        match kind {
            "UnknownJob" => Exception::not_registered(task),
            "TimeLimitExceeded" => {
                Exception::new("billiard.exceptions", "TimeLimitExceeded", message)
            }
            // As Python says that the arguments do not fit.
            "InvalidInput" => Exception::new("builtins", "TypeError", message),
            kind if BUILTINS.contains(&kind) => Exception::new("builtins", kind, message),
            kind => Exception::new("builtins", "RuntimeError", format!("{kind}: {message}")),
        }
    }

    /// No job has this name.
    pub fn not_registered(task: &str) -> Exception {
        Exception::new("celery.exceptions", "NotRegistered", task)
    }

    /// The attempt took longer than its hard time limit in seconds.
    ///
    /// A worker stores the class of its process pool. Clients have imported that module with Celery.
    pub fn time_limit(seconds: f64) -> Exception {
        let is_whole = seconds.fract() == 0.0 && seconds.abs() < 1e15;
        let limit = match is_whole {
            #[allow(clippy::cast_possible_truncation)] // checked: the number is whole and small
            true => Json::from(seconds as i64),
            false => Json::from(seconds),
        };
        Exception::new("billiard.exceptions", "TimeLimitExceeded", limit)
    }

    /// The task was revoked.
    pub fn revoked(why: Revoked) -> Exception {
        let reason = match why {
            Revoked::Expired => "expired",
            Revoked::BeforeStart => "revoked",
            Revoked::Terminated => "terminated",
        };
        Exception::new("celery.exceptions", "TaskRevokedError", reason)
    }

    /// The attempt took longer than its soft time limit.
    pub fn soft_time_limit() -> Exception {
        Exception {
            exc_type: "SoftTimeLimitExceeded".to_owned(),
            exc_message: Vec::new(),
            exc_module: Some("billiard.exceptions".to_owned()),
        }
    }

    /// The message cannot be run, such as for its content type; `None` if `kind` is not the name of a
    /// [`Kind`](crate::celery::Kind).
    pub fn of_refusal(kind: &str, reason: &str) -> Option<Exception> {
        let (module, class) = match kind {
            "ContentDisallowed" => ("kombu.exceptions", "ContentDisallowed"),
            "DecodeError" | "TooLarge" => ("kombu.exceptions", "DecodeError"),
            "Malformed" | "NotCelery" => ("celery.exceptions", "InvalidTaskError"),
            _ => return None,
        };
        Some(Exception::new(module, class, reason))
    }

    /// A member of a chord failed, so the body cannot run.
    pub fn chord(member: &str, cause: &Exception) -> Exception {
        let message = format!("Dependency {member} raised {}", cause.repr());
        Exception::new("celery.exceptions", "ChordError", message)
    }

    /// The list of a chord's members has expired, so the body cannot run.
    pub fn lost_chord(group: &str) -> Exception {
        let message = format!("GroupResult {group} no longer exists");
        Exception::new("celery.exceptions", "ChordError", message)
    }

    /// The body of a chord cannot be sent.
    pub fn body(reason: &str) -> Exception {
        let message = format!("Callback error: {reason}");
        Exception::new("celery.exceptions", "ChordError", message)
    }

    /// Python's `repr`: the class and its arguments.
    pub fn repr(&self) -> String {
        let class = self.exc_type.rsplit('.').next().unwrap_or_default();
        let arguments: Vec<String> = self.exc_message.iter().map(argument).collect();
        format!("{class}({})", arguments.join(", "))
    }

    /// A traceback in Python's form, for an exception that Python did not raise. Clients with tblib
    /// parse it, so the form must be right.
    pub fn traceback(&self, task: &str) -> String {
        // No quote and no line break may end the name of the file early.
        let file = task.replace(|c: char| c.is_control() || c == '"', "?");
        let class = match self.exc_module.as_deref() {
            None | Some("builtins") => self.exc_type.clone(),
            Some(module) => format!("{module}.{}", self.exc_type),
        };
        let what = match &self.exc_message[..] {
            [] => String::new(),
            [Json::String(text)] => format!(": {text}"),
            [one] => format!(": {}", argument(one)),
            _ => format!(": {}", self.repr()),
        };
        let head = "Traceback (most recent call last):";
        format!("{head}\n  File \"{file}\", line 1, in run\n{class}{what}\n")
    }

    /// The traceback that Python gave, or one in Python's form.
    pub fn traceback_or<'a>(&self, given: Option<&'a str>, task: &str) -> Cow<'a, str> {
        given.map_or_else(|| self.traceback(task).into(), Cow::from)
    }

    /// The exception as an object of a result.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("exc_type", Json::from(self.exc_type.as_str())),
            ("exc_message", self.exc_message.clone().into()),
            ("exc_module", self.exc_module.clone().into()),
        ])
    }

    /// Reads the object of a result. A message that is not a list is the only argument.
    pub(super) fn from_json(object: &Object) -> Option<Exception> {
        let exc_message = match object.get("exc_message") {
            None => Vec::new(),
            Some(Json::Array(arguments)) => arguments.clone(),
            Some(one) => vec![one.clone()],
        };
        let module = object.get("exc_module").and_then(Json::as_str);
        Some(Exception {
            exc_type: object.get("exc_type")?.as_str()?.to_owned(),
            exc_message,
            exc_module: module.map(str::to_owned),
        })
    }
}

/// An argument as Python writes it.
fn argument(value: &Json) -> String {
    match value {
        Json::String(text) => crate::celery::python::text(text),
        value => crate::celery::python::value(value),
    }
}
