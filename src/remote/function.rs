//! Bodies in Lambda functions.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::answer::invalid;
use crate::error::Chain;
use crate::invoke::{InvokeError, Invoker};
use crate::tasks::job::{JobError, Retry};

/// The least wait for a function without capacity.
const THROTTLED: Duration = Duration::from_secs(1);

/// The wait for a function that is not there, or that this service may not invoke: only a person, or a
/// deployment that is under way, changes that.
const MISSING: Duration = Duration::from_secs(60);

/// A connection that ends so soon was closed by the other side while it was unused, and the request is sent
/// once more.
const STALE: Duration = Duration::from_secs(1);

/// The end of Lambda's message on a process that ended itself because its body did not end in time.
const TIMED_OUT: &str = "exit status 124";

/// What Lambda says about a failed function. The names are those of Lambda's runtimes.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure {
    #[serde(rename = "errorType")]
    kind: Option<String>,
    #[serde(rename = "errorMessage")]
    message: Option<String>,
    /// Of Python and Java, a list of lines.
    #[serde(rename = "stackTrace")]
    stack: Option<serde_json::Value>,
    /// Of Node.js, a list of lines.
    trace: Option<serde_json::Value>,
}

/// Invokes a function and gives its answer.
///
/// # Errors
/// When the function did not run, failed or gave no answer.
pub async fn call(invoker: &Invoker, function: &str, event: String) -> Result<Vec<u8>, JobError> {
    let started = Instant::now();
    let answered = match invoker.invoke(function, None, event.clone()).await {
        Err(InvokeError::Interrupted(_)) if started.elapsed() < STALE => {
            invoker.invoke(function, None, event).await
        }
        answered => answered,
    };
    answered.map_err(|error| error_of(function, error))
}

fn error_of(function: &str, error: InvokeError) -> JobError {
    match error {
        InvokeError::Throttled => JobError::transient(
            "FunctionThrottled",
            "Lambda has no capacity for the function",
        )
        .with_retry(Retry::Wait(THROTTLED)),
        InvokeError::NotFound => {
            JobError::transient("FunctionNotFound", "there is no such function")
                .retry_after(MISSING)
        }
        InvokeError::Denied => JobError::transient(
            "FunctionAccessDenied",
            "the worker may not invoke the function",
        )
        .retry_after(MISSING),
        InvokeError::TooLarge => JobError::permanent(
            "RequestTooLarge",
            "the request is larger than Lambda's 6 MB",
        ),
        InvokeError::Failed { payload, .. } => failed(&payload),
        error @ (InvokeError::Interrupted(_) | InvokeError::Call(_)) => {
            tracing::warn!(function, error = %Chain(&error), "a function was not invoked");
            JobError::transient("InvocationFailed", error.to_string())
        }
    }
}

/// The error of a function that failed.
fn failed(payload: &[u8]) -> JobError {
    let Failure {
        kind,
        message,
        stack,
        trace,
    } = serde_json::from_slice(payload).unwrap_or_default();
    let kind = kind.unwrap_or_default();
    let message = message.unwrap_or_else(|| "the function failed".to_owned());
    // The handler of Celery's tasks ends its process so, and timeout(1) ends with the same status.
    if kind == "Runtime.ExitError" && message.ends_with(TIMED_OUT) {
        let message = "the body did not end at its time limit";
        return JobError::permanent("TimeLimitExceeded", message);
    }
    // Only the newer runtimes name the time-out.
    if kind == "Sandbox.Timedout" || message.contains("Task timed out after ") {
        let after = message.split("Task timed out after ").nth(1);
        let after = after.unwrap_or("the time of its configuration");
        let message = format!("the function's own time-out ended it after {after}");
        return JobError::permanent("TimeLimitExceeded", message);
    }
    match kind.as_str() {
        "Function.ResponseSizeTooLarge" => JobError::permanent("AnswerTooLarge", message),
        "Runtime.MarshalError" => invalid(format_args!("it cannot be written as JSON: {message}")),
        "" => JobError::transient("FunctionFailed", message),
        // The process ended, or did not begin: crashes, lack of memory, code that does not load.
        kind if ["Runtime.", "Extension.", "Sandbox."]
            .iter()
            .any(|prefix| kind.starts_with(prefix)) =>
        {
            JobError::transient("FunctionCrashed", format!("{kind}: {message}"))
        }
        kind => match lines(stack.or(trace)) {
            Some(traceback) => JobError::transient(kind, message).with_traceback(traceback),
            None => JobError::transient(kind, message),
        },
    }
}

/// A stack trace as text.
fn lines(trace: Option<serde_json::Value>) -> Option<String> {
    match trace? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Array(lines) => {
            let lines = lines.iter().filter_map(|line| line.as_str());
            let lines: Vec<&str> = lines.map(|line| line.trim_end_matches('\n')).collect();
            Some(lines.join("\n"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(payload: &str) -> JobError {
        failed(payload.as_bytes())
    }

    #[test]
    fn a_function_that_ran_out_of_its_time_is_not_tried_again() {
        for payload in [
            r#"{"errorMessage":"2026-11-25T10:00:00.000Z 5f0c9c1e Task timed out after 3.00 seconds"}"#,
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 5f Error: Task timed out after 3.00 seconds"}"#,
        ] {
            let error = error(payload);
            assert_eq!(
                (error.kind(), error.retry()),
                ("TimeLimitExceeded", Retry::No)
            );
            assert!(error.message().ends_with("after 3.00 seconds"), "{error}");
        }
    }

    #[test]
    fn a_body_that_did_not_end_at_its_limit_is_not_tried_again() {
        let error = error(
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 5f Error: Runtime exited with error: exit status 124"}"#,
        );
        assert_eq!(
            (error.kind(), error.retry()),
            ("TimeLimitExceeded", Retry::No)
        );
    }

    #[test]
    fn a_crash_is_tried_again() {
        for payload in [
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 5f Error: Runtime exited with error: signal: killed"}"#,
            r#"{"errorType":"Runtime.OutOfMemory","errorMessage":"x"}"#,
            r#"{"errorType":"Runtime.ImportModuleError","errorMessage":"No module named 'x'"}"#,
        ] {
            let error = error(payload);
            assert_eq!(
                (error.kind(), error.retry()),
                ("FunctionCrashed", Retry::Backoff)
            );
        }
        for payload in ["", "null", "[]", "{}"] {
            let error = error(payload);
            assert_eq!(
                (error.kind(), error.retry()),
                ("FunctionFailed", Retry::Backoff)
            );
        }
    }

    #[test]
    fn an_exception_keeps_its_type_and_its_traceback() {
        let python = r#"{"errorType":"KeyError","errorMessage":"'a'","requestId":"5f","stackTrace":["  File \"x.py\", line 3, in handler\n    d['a']\n"]}"#;
        let error = error(python);
        assert_eq!((error.kind(), error.message()), ("KeyError", "'a'"));
        let expected = "  File \"x.py\", line 3, in handler\n    d['a']";
        assert_eq!(error.traceback(), Some(expected));
        assert_eq!(error.retry(), Retry::Backoff);
    }

    #[test]
    fn an_answer_that_lambda_refuses_is_not_tried_again() {
        let large = error(
            r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded"}"#,
        );
        assert_eq!((large.kind(), large.retry()), ("AnswerTooLarge", Retry::No));
        let strange = error(
            r#"{"errorType":"Runtime.MarshalError","errorMessage":"Object of type set is not JSON serializable"}"#,
        );
        assert_eq!(
            (strange.kind(), strange.retry()),
            ("InvalidAnswer", Retry::No)
        );
    }

    #[test]
    fn a_function_without_capacity_spends_no_attempt() {
        let error = error_of("f", InvokeError::Throttled);
        assert_eq!(error.retry(), Retry::Wait(THROTTLED));
        for error in [InvokeError::NotFound, InvokeError::Denied] {
            assert_eq!(error_of("f", error).retry(), Retry::After(MISSING));
        }
    }
}
