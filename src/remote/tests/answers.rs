//! What answers mean.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::*;
use crate::remote::answer::read;
use crate::tasks::format::{AnswerKind, Computed, Decoded, EffectError, Format, Incoming, Parts};
use crate::tasks::record::End;
use crate::tasks::registry::AnyJob;
use crate::tasks::task::Next;

fn own(answer: &str) -> Result<Output, JobError> {
    read(answer.as_bytes(), &task(), None)
}

/// A format that reads its part as calls, and as the input of the next attempt.
struct Testing;

impl Format for Testing {
    fn name(&self) -> &'static str {
        "testing"
    }

    fn decode(&self, _: &Incoming<'_>) -> Option<Decoded> {
        None
    }

    fn input(
        &self,
        _: &Task,
        _: &dyn AnyJob,
        input: Box<RawValue>,
    ) -> Result<Box<RawValue>, JobError> {
        Ok(input)
    }

    fn answer(&self, _: &Task, part: &RawValue, kind: AnswerKind) -> Result<Parts, JobError> {
        match part.get() {
            "false" => Err(JobError::permanent("UnknownQueue", "no such queue")),
            _ => Ok(Parts {
                calls: Some(part.to_owned()),
                next: (kind == AnswerKind::Retry).then(|| Next {
                    input: None,
                    origin: Some(part.to_owned()),
                }),
            }),
        }
    }

    fn perform<'a>(
        &'a self,
        _: &'a Task,
        _: &'a End,
        _: Option<Computed>,
    ) -> BoxFuture<'a, Result<(), EffectError>> {
        Box::pin(async { Ok(()) })
    }
}

fn foreign(answer: &str) -> Result<Output, JobError> {
    let mut task = task();
    let data = RawValue::NULL.to_owned();
    task.origin = Some(Origin::new("testing", vec!["result".to_owned()], data));
    read(answer.as_bytes(), &task, Some(&Testing))
}

#[test]
fn an_error_is_permanent_unless_it_asks_for_another_attempt() {
    let error = own(r#"{"error": {"type": "ValueError", "message": "no"}}"#).unwrap_err();
    assert_eq!(
        (error.kind(), error.message(), error.retry()),
        ("ValueError", "no", Retry::No)
    );
    assert!(error.traceback().is_none() && error.module().is_none());
    let whole = r#"{"error": {"type": "E", "message": "m", "traceback": "t", "module": "builtins", "retry": true}}"#;
    let error = own(whole).unwrap_err();
    assert_eq!(error.retry(), Retry::Backoff);
    assert_eq!(
        (error.traceback(), error.module()),
        (Some("t"), Some("builtins"))
    );
}

#[test]
fn a_retry_has_its_own_time_and_input() {
    let error = own(r#"{"retry": {"delay": 2.5, "input": null}}"#).unwrap_err();
    assert_eq!(error.retry(), Retry::Asked(Duration::from_millis(2_500)));
    assert_eq!(error.next().unwrap().input.as_ref().unwrap().get(), "null");
    let plain = r#"{"retry": {"delay": 0, "error": {"type": "E", "message": "m"}}}"#;
    let error = own(plain).unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        ("E", Retry::Asked(Duration::ZERO))
    );
    assert!(error.next().is_none());
}

#[test]
fn a_message_is_ignored_or_rejected() {
    let ignored = own(r#"{"ignore": true}"#).unwrap();
    assert_eq!(
        (ignored.json.get(), ignored.calls.is_none()),
        ("null", true)
    );
    // Of a task with effects none are left.
    let ignored = foreign(r#"{"ignore": true}"#).unwrap();
    assert_eq!(ignored.calls.unwrap().get(), "[]");
    let again = own(r#"{"reject": {"requeue": true}}"#).unwrap_err();
    assert_eq!(
        (again.retry(), again.is_rejected()),
        (Retry::Backoff, false)
    );
    let never = own(r#"{"reject": {"requeue": false, "reason": "spam"}}"#).unwrap_err();
    assert_eq!((never.retry(), never.is_rejected()), (Retry::No, true));
    assert_eq!((never.kind(), never.message()), ("Rejected", "spam"));
}

#[test]
fn a_format_reads_its_part() {
    let output = foreign(r#"{"result": 1, "testing": [1]}"#).unwrap();
    assert_eq!(output.calls.unwrap().get(), "[1]");
    let moved = foreign(r#"{"testing": [2], "moved": true}"#).unwrap();
    assert_eq!(
        (moved.ending, moved.calls.unwrap().get()),
        (Ending::Moved, "[2]")
    );
    let failed = foreign(r#"{"error": {"type": "E", "message": ""}, "testing": [3]}"#);
    assert_eq!(failed.unwrap_err().calls().unwrap().get(), "[3]");
    let retried = foreign(r#"{"retry": {"delay": 1}, "testing": [4]}"#).unwrap_err();
    assert_eq!(
        retried.next().unwrap().origin.as_ref().unwrap().get(),
        "[4]"
    );
    let refused = foreign(r#"{"result": 1, "testing": false}"#).unwrap_err();
    assert_eq!(refused.kind(), "UnknownQueue");
}

#[test]
fn an_answer_without_its_format_s_part_leaves_the_effects_as_they_are() {
    assert!(foreign(r#"{"result": 1}"#).unwrap().calls.is_none());
    let failed = foreign(r#"{"error": {"type": "E", "message": ""}}"#).unwrap_err();
    assert!(failed.calls().is_none());
}

#[test]
fn anything_else_is_an_invalid_answer() {
    for answer in [
        "",
        "null",
        "[]",
        "3",
        "{}",
        "{\"result\": NaN}",
        "{\"result\": 1",
        "{\"result\": 1} x",
        "{\"result\": 1, \"result\": 1}",
        "{\"result\": 1, \"ignore\": true}",
        "{\"result\": 1, \"celery\": {}}",
        "{\"resullt\": 1}",
        "{\"ignore\": false}",
        "{\"moved\": true}",
        "{\"error\": \"no\"}",
        "{\"error\": {\"message\": \"m\"}}",
        "{\"error\": {\"type\": \"E\", \"message\": \"m\", \"more\": 1}}",
        "{\"retry\": {}}",
        "{\"retry\": {\"delay\": -1}}",
        "{\"retry\": {\"delay\": 1e99}}",
        "{\"reject\": true}",
        "\u{feff}{\"result\": 1}",
    ] {
        let error = own(answer).unwrap_err();
        assert_eq!(
            (error.kind(), error.retry()),
            ("InvalidAnswer", Retry::No),
            "{answer}"
        );
        assert!(!error.message().contains("resullt"), "{error}");
    }
    assert!(own("{\"result\": \"\u{1}\"}").is_err());
    assert_eq!(
        read(b"{\"result\": \"\xff\"}", &task(), None)
            .unwrap_err()
            .kind(),
        "InvalidAnswer"
    );
    let input = foreign(r#"{"retry": {"delay": 1, "input": 2}}"#).unwrap_err();
    assert_eq!(input.kind(), "InvalidAnswer");
}
