//! `apply`, `async-apply` and `send-task`: reads a call of a task, and answers with its result.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Flower;
use super::arguments::float;
use super::failure::Failure;
use super::path::Wait;
use super::task::{failure_of, result_state};
use crate::celery::apply::Call;
use crate::celery::time;
use crate::clock::now_ms;
use crate::json::{self, Json, Object, ParseError};
use crate::tasks::id::TaskId;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::web::{Extract, answer};

/// The longest wait for a result. The gateway waits 30 seconds for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(25);

/// The result of a task, as Flower has it.
#[derive(Debug, Serialize)]
struct ResultView {
    #[serde(rename = "task-id")]
    id: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// Only of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<Json>,
}

impl ResultView {
    fn pending(id: &TaskId) -> ResultView {
        ResultView {
            id: id.to_string(),
            state: "PENDING",
            result: None,
            traceback: None,
        }
    }

    fn new(record: TaskRecord) -> ResultView {
        let failure = failure_of(&record);
        let is_failure = record.state == State::Failed;
        let (result, traceback) = match failure {
            Some((exception, traceback)) => (
                serde_json::value::to_raw_value(&exception).ok(),
                is_failure.then(|| traceback.into()),
            ),
            None if record.state == State::Completed => {
                let null = || RawValue::NULL.to_owned();
                (Some(record.result.unwrap_or_else(null)), None)
            }
            None => (None, None),
        };
        ResultView {
            id: record.id.to_string(),
            state: result_state(record.state),
            result,
            traceback,
        }
    }
}

impl Flower {
    /// Submits a task. `name` must be known unless `is_any` is set.
    pub(super) async fn apply(
        &self,
        request: &Request,
        name: &str,
        wait: Wait,
        is_any: bool,
    ) -> Result<Response<Body>, Failure> {
        let (mut call, timeout) = call(request, name)?;
        if !is_any && !self.knows(name) {
            return Err(Failure::unknown("task", name));
        }
        let timeout = match (wait, timeout) {
            (Wait::No, _) => Duration::ZERO,
            (Wait::ForResult, None) => LONGEST_WAIT,
            (Wait::ForResult, Some(given)) => seconds(&given)?,
        };
        times(&mut call.options)?;
        let applier = self.applier.as_ref().ok_or_else(|| {
            Failure::forbidden("The stack takes no tasks of Celery: see its parameter Celery")
        })?;
        let viewer = (request.viewer(), request.caller());
        let id = applier.apply(call, viewer, now_ms()).await?;
        if wait == Wait::No {
            return Ok(answer::ok(&ResultView::pending(&id)));
        }
        self.result_within(request, &id, timeout).await
    }

    /// `GET /api/task/result/{id}`.
    pub(super) async fn result(
        &self,
        request: &Request,
        id: &str,
    ) -> Result<Response<Body>, Failure> {
        let timeout = float(request, "timeout")?.unwrap_or(0.0);
        let Some(id) = TaskId::parse(id) else {
            return Err(Failure::unknown("task", id));
        };
        self.result_within(request, &id, bounded(timeout)).await
    }

    /// The state of a task and its result if it ends in time. A task that is not known, or is of another caller, is
    /// pending, as to Celery.
    async fn result_within(
        &self,
        request: &Request,
        id: &TaskId,
        time: Duration,
    ) -> Result<Response<Body>, Failure> {
        let found = self.reader.wait(request.viewer(), id, time).await?;
        let view = found.map_or_else(|| ResultView::pending(id), ResultView::new);
        Ok(answer::ok(&view))
    }
}

/// The call in the body of a request, and its option `timeout`.
fn call(request: &Request, name: &str) -> Result<(Call, Option<Json>), Failure> {
    let body: &[u8] = request.body().as_ref();
    let body = match body.is_empty() {
        true => Json::Object(Object::new()),
        false => json::parse(body).map_err(|error| Failure::bad(sentence(&error, body)))?,
    };
    let Json::Object(mut options) = body else {
        return Err(Failure::bad("invalid options"));
    };
    let args = match options.remove("args") {
        None => Vec::new(),
        Some(Json::Array(args)) => args,
        Some(_) => return Err(Failure::bad("args must be an array")),
    };
    let kwargs = match options.remove("kwargs") {
        None | Some(Json::Null) => Object::new(),
        Some(Json::Object(kwargs)) => kwargs,
        Some(_) => return Err(Failure::bad("kwargs must be an object")),
    };
    let timeout = options.remove("timeout").filter(|given| !given.is_null());
    let call = Call {
        task: name.to_owned(),
        args,
        kwargs,
        options,
        trace: request.trace(),
    };
    Ok((call, timeout))
}

/// Python's sentence of an error in JSON.
fn sentence(error: &ParseError, body: &[u8]) -> String {
    let ParseError::Syntax { message, position } = error else {
        return error.to_string();
    };
    let text = String::from_utf8_lossy(body);
    let before = text.chars().take(*position);
    let (line, column) = before.fold((1, 1), |(line, column), c| match c {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    });
    format!("{message}: line {line} column {column} (char {position})")
}

/// A time of the option `timeout`.
fn seconds(given: &Json) -> Result<Duration, Failure> {
    let of_text = || given.as_str().and_then(|text| text.trim().parse().ok());
    let number = given.as_f64().or_else(of_text);
    number
        .map(bounded)
        .ok_or_else(|| Failure::bad("Invalid timeout"))
}

/// A wait of so many seconds, within the bounds.
fn bounded(seconds: f64) -> Duration {
    let wait = Duration::try_from_secs_f64(seconds);
    let longest = || match seconds > 0.0 {
        true => LONGEST_WAIT,
        false => Duration::ZERO,
    };
    wait.map_or_else(|_| longest(), |wait| wait.min(LONGEST_WAIT))
}

/// Reads the options that are times as Flower does: `eta` and `expires` as `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, `countdown`
/// and `expires` as seconds, also as text.
fn times(options: &mut Object) -> Result<(), Failure> {
    for (name, takes_time, takes_seconds) in [
        ("eta", true, false),
        ("expires", true, true),
        ("countdown", false, true),
    ] {
        let Some(value) = options.get(name).filter(|value| !value.is_null()) else {
            continue;
        };
        let of_text = |text: &str| {
            let number = text.trim().parse::<f64>().ok().filter(|_| takes_seconds);
            let time = || point(text).filter(|_| takes_time).and_then(time::format);
            number.map(Json::from).or_else(|| time().map(Json::from))
        };
        let read = match value {
            Json::String(text) => of_text(text),
            Json::Int(_) | Json::Float(_) if takes_seconds => value.as_f64().map(Json::from),
            _ => None,
        };
        let finite = read.filter(Json::is_finite);
        let read = finite.ok_or_else(|| Failure::bad("Invalid option"))?;
        options.insert(name, read);
    }
    Ok(())
}

/// A time of UTC, in milliseconds since the Unix epoch.
fn point(text: &str) -> Option<u64> {
    let time = DateTime::strptime("%Y-%m-%d %H:%M:%S.%f", text).ok()?;
    let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> Option<String> {
        let mut options = json::parse_str(options).unwrap().into_object().unwrap();
        times(&mut options).ok()?;
        Some(Json::Object(options).to_string())
    }

    #[test]
    fn times_are_read_as_flower_reads_them() {
        for (given, expected) in [
            (
                r#"{"eta":"2026-01-02 03:04:05.678900"}"#,
                Some(r#"{"eta":"2026-01-02T03:04:05.678000+00:00"}"#),
            ),
            (
                r#"{"expires":"2026-01-02 03:04:05.0","countdown":"1.5"}"#,
                Some(r#"{"expires":"2026-01-02T03:04:05+00:00","countdown":1.5}"#),
            ),
            (
                r#"{"expires":-1,"queue":"x"}"#,
                Some(r#"{"expires":-1.0,"queue":"x"}"#),
            ),
            (r#"{"eta":"2026-01-02T03:04:05"}"#, None),
            (r#"{"eta":5}"#, None),
            (r#"{"countdown":"soon"}"#, None),
            (r#"{"countdown":"nan"}"#, None),
            (r#"{"expires":[1]}"#, None),
            (r#"{"eta":null}"#, Some(r#"{"eta":null}"#)),
        ] {
            assert_eq!(read(given).as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn a_wait_has_bounds() {
        for (seconds, wait) in [
            (-1.0, 0),
            (f64::NAN, 0),
            (2.0, 2),
            (60.0, 25),
            (f64::INFINITY, 25),
        ] {
            assert_eq!(bounded(seconds).as_secs(), wait, "{seconds}");
        }
    }

    #[test]
    fn errors_in_json_are_worded_as_pythons() {
        let body = b"{\n \"a\": }";
        let error = json::parse(body).unwrap_err();
        let expected = "Expecting value: line 2 column 7 (char 8)";
        assert_eq!(sentence(&error, body), expected);
    }
}
