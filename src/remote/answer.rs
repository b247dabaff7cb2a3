//! The answer of a body: a JSON object with exactly one of `result`, `error`, `retry`, `ignore`, `reject` and
//! `moved`, and beside it a part of the task's format.

use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::tasks::format::{AnswerKind, Format, Parts};
use crate::tasks::job::{JobError, Retry};
use crate::tasks::registry::{Ending, Output};
use crate::tasks::store::MAX_RESULT;
use crate::tasks::task::{MAX_WAIT, Next, Task};

/// The longest type of an error, in characters; longer ones are cut.
const MAX_KIND: usize = 255;

/// The members of which an answer has exactly one.
const KINDS: [(&str, AnswerKind); 6] = [
    ("result", AnswerKind::Result),
    ("error", AnswerKind::Error),
    ("retry", AnswerKind::Retry),
    ("ignore", AnswerKind::Ignore),
    ("reject", AnswerKind::Reject),
    ("moved", AnswerKind::Moved),
];

/// The members of a JSON object in their order, with repetitions.
struct Members(Vec<(String, Box<RawValue>)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorPart {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    traceback: Option<String>,
    module: Option<String>,
    #[serde(default)]
    retry: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryPart {
    delay: f64,
    #[serde(default, deserialize_with = "present")]
    input: Option<Box<RawValue>>,
    error: Option<ErrorPart>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RejectPart {
    requeue: bool,
    reason: Option<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Members, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

/// What an answer says about its task.
///
/// # Errors
/// The error that the answer has, or [`invalid`] for an answer that is not as `docs/REMOTE.md` has it.
pub fn read(bytes: &[u8], task: &Task, format: Option<&dyn Format>) -> Result<Output, JobError> {
    let Members(members) = serde_json::from_slice(bytes).map_err(not_an_object)?;
    let (mut answer, mut part) = (None, None);
    for (name, value) in members {
        let kind = KINDS.iter().find(|(known, _)| *known == name);
        let is_part = format.is_some_and(|format| format.name() == name);
        match kind {
            Some(_) if answer.is_some() => {
                return Err(invalid(
                    "it has more than one of result, error, retry, ignore, reject and moved",
                ));
            }
            Some((_, kind)) => answer = Some((*kind, value)),
            None if is_part && part.is_none() => part = Some(value),
            None => return Err(invalid("it has a member that this version does not know")),
        }
    }
    let Some((kind, value)) = answer else {
        return Err(invalid(
            "it has none of result, error, retry, ignore, reject and moved",
        ));
    };
    let parts = match (format, part) {
        (Some(format), Some(part)) => format.answer(task, &part, kind)?,
        _ => Parts::default(),
    };
    outcome(kind, &value, parts, task)
}

fn outcome(
    kind: AnswerKind,
    value: &RawValue,
    mut parts: Parts,
    task: &Task,
) -> Result<Output, JobError> {
    let calls = parts.calls.take();
    let is_large = calls
        .as_ref()
        .is_some_and(|calls| calls.get().len() > MAX_RESULT);
    if is_large {
        let message = format!("what the answer sets off has more than {MAX_RESULT} bytes");
        return Err(JobError::permanent("AnswerTooLarge", message));
    }
    let with_calls = |error: JobError| match calls.clone() {
        Some(calls) => error.with_calls(calls),
        None => error,
    };
    match kind {
        AnswerKind::Result => Ok(output(value, calls, Ending::Completed)),
        AnswerKind::Ignore => {
            is_true("ignore", value)?;
            // A run that sets off nothing has calls, and has none of them.
            let none = || task.origin.as_ref().map(|_| nothing());
            Ok(output(
                RawValue::NULL,
                calls.or_else(none),
                Ending::Completed,
            ))
        }
        AnswerKind::Moved if task.origin.is_none() => Err(invalid(
            "only a task of another format can go on in another message",
        )),
        AnswerKind::Moved => {
            is_true("moved", value)?;
            let calls = calls.or_else(|| Some(nothing()));
            Ok(output(RawValue::NULL, calls, Ending::Moved))
        }
        AnswerKind::Error => Err(with_calls(error_of(part("error", value)?))),
        AnswerKind::Retry => Err(with_calls(retry_of(part("retry", value)?, parts, task)?)),
        AnswerKind::Reject => Err(with_calls(reject_of(part("reject", value)?))),
    }
}

fn output(value: &RawValue, calls: Option<Box<RawValue>>, ending: Ending) -> Output {
    Output {
        json: value.to_owned(),
        calls,
        ending,
    }
}

fn error_of(part: ErrorPart) -> JobError {
    let kind: String = part.kind.chars().take(MAX_KIND).collect();
    let kind = if kind.is_empty() {
        "Error".to_owned()
    } else {
        kind
    };
    let error = match part.retry {
        Some(true) => JobError::transient(kind, part.message),
        _ => JobError::permanent(kind, part.message),
    };
    let error = match part.traceback {
        Some(traceback) => error.with_traceback(traceback),
        None => error,
    };
    match part.module {
        Some(module) => error.with_module(module),
        None => error,
    }
}

fn retry_of(part: RetryPart, parts: Parts, task: &Task) -> Result<JobError, JobError> {
    if !(0.0..=MAX_WAIT as f64).contains(&part.delay) {
        return Err(invalid(
            "the delay of its retry is not between 0 s and a year",
        ));
    }
    if part.input.is_some() && task.origin.is_some() {
        return Err(invalid(
            "its retry has an input, which only a task of the service's own format has",
        ));
    }
    let error = part.error.map(error_of);
    let error =
        error.unwrap_or_else(|| JobError::transient("Retry", "the body asked for another attempt"));
    let error = error.with_retry(Retry::Asked(Duration::from_secs_f64(part.delay)));
    let own = part.input.map(|input| Next {
        input: Some(input),
        origin: None,
    });
    Ok(match parts.next.or(own) {
        Some(next) => error.with_next(next),
        None => error,
    })
}

fn reject_of(part: RejectPart) -> JobError {
    let reason = part.reason.filter(|reason| !reason.is_empty());
    let reason = reason.unwrap_or_else(|| "the body refused the message".to_owned());
    match part.requeue {
        true => JobError::transient("Rejected", reason),
        false => JobError::permanent("Rejected", reason).rejected(),
    }
}

/// The error of an answer that is not as it must be. The reason does not quote the answer.
pub fn invalid(reason: impl fmt::Display) -> JobError {
    JobError::permanent(
        "InvalidAnswer",
        format!("the body's answer is invalid: {reason}"),
    )
}

fn not_an_object(error: serde_json::Error) -> JobError {
    // The parser's text may quote the answer.
    let (line, column) = (error.line(), error.column());
    invalid(format_args!(
        "it is no JSON object, see line {line}, column {column}"
    ))
}

fn part<T: DeserializeOwned>(name: &str, value: &RawValue) -> Result<T, JobError> {
    let wrong = |_| invalid(format_args!("its {name} is not as docs/REMOTE.md has it"));
    serde_json::from_str(value.get()).map_err(wrong)
}

fn is_true(name: &str, value: &RawValue) -> Result<(), JobError> {
    match value.get() {
        "true" => Ok(()),
        _ => Err(invalid(format_args!("its {name} is not true"))),
    }
}

/// The calls of an end that sets off nothing.
fn nothing() -> Box<RawValue> {
    RawValue::from_string("[]".to_owned()).unwrap_or_default()
}

/// Reads `null` as a value.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}
