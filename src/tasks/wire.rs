//! The format of a task's message: JSON of the whole [`Task`], with a version.
//!
//! Only this module depends on the format. Another format is a [`Format`](super::format::Format), which
//! makes a [`Task`] of a message.

use serde::Deserialize;

use super::id::TaskId;
use super::task::{
    MAX_CALLER, MAX_EFFECT, MAX_EFFECTS, MAX_FORMAT, MAX_RETRIES, MAX_SCHEDULE, MAX_TIME_LIMIT,
    MAX_WAIT, Options, Origin, Task,
};

/// The version of the format.
pub(super) const VERSION: u8 = 1;

/// The longest name of a job, and the longest fingerprint, in bytes.
const MAX_NAME: usize = 255;
/// A bound above the number of chunks of any input.
const MAX_CHUNKS: u32 = 1_000;
/// The latest time of a message, in milliseconds since the Unix epoch: the end of the year 9999.
const MAX_TIME: u64 = 253_402_300_799_999;
/// The tolerance for clocks that differ, in seconds: a task may be due so much later than [`MAX_WAIT`].
const CLOCK_TOLERANCE: u64 = 24 * 3600;

/// Why a message is not a task.
#[derive(Debug, thiserror::Error)]
pub enum NotATask {
    /// The message is not JSON of the right format. The error names only the position: the parser's
    /// text may quote the message, and reasons are logged.
    #[error("the message is not a task: see line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 before the first character of a line.
        column: usize,
    },
    /// The message comes from another version of this program.
    #[error("the message has version {0}, which this worker does not know")]
    Version(u8),
    /// A field has a value beyond the bounds of a submission.
    #[error("the message is not a task: {0}")]
    OutOfBounds(&'static str),
}

impl From<serde_json::Error> for NotATask {
    fn from(error: serde_json::Error) -> NotATask {
        NotATask::Malformed {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// Reads a message's body at the time `now`, in milliseconds since the Unix epoch. Every field is
/// bounded, so that every decoded task fits a record and a dead letter.
///
/// # Errors
/// For a body that is not a task, that is a task of another version, or that has a field out of bounds.
pub fn decode(body: &str, now: u64) -> Result<Task, NotATask> {
    #[derive(Deserialize)]
    struct HasVersion {
        v: u8,
    }
    match serde_json::from_str::<HasVersion>(body)?.v {
        VERSION => {
            let task: Task = serde_json::from_str(body)?;
            match out_of_bounds(&task, now) {
                Some(reason) => Err(NotATask::OutOfBounds(reason)),
                None => Ok(task),
            }
        }
        other => Err(NotATask::Version(other)),
    }
}

/// Why a task is out of the bounds of a submission at the time `now`, in milliseconds since the Unix epoch; `None`
/// for a task within the bounds.
pub fn out_of_bounds(task: &Task, now: u64) -> Option<&'static str> {
    let is_long = |text: &Option<String>, most: usize| {
        let text = text.as_ref();
        text.is_some_and(|text| text.len() > most)
    };
    let has_input = task.input().is_some() || task.input_chunks > 0;
    let is_caller_long = is_long(&task.caller, MAX_CALLER);
    let is_fingerprint_long = is_long(&task.fingerprint, MAX_NAME);
    let has_many_chunks = task.input_chunks > MAX_CHUNKS;
    let is_origin_wrong = task.origin.as_ref().is_some_and(is_out_of_bounds);
    let is_time_wrong = task.submitted_at > MAX_TIME;
    let schedule = task.schedule.as_ref();
    let is_schedule_wrong =
        schedule.is_some_and(|schedule| !(1..=MAX_SCHEDULE).contains(&schedule.name.len()));
    let checks = [
        (task.job.len() > MAX_NAME, "the job's name is too long"),
        (is_caller_long, "the caller's name is too long"),
        (is_fingerprint_long, "the fingerprint is too long"),
        (!has_input, "there is no input"),
        (has_many_chunks, "the input has too many chunks"),
        (is_origin_wrong, "the origin is out of range"),
        (is_schedule_wrong, "the schedule's name is out of range"),
        (task.run == 0, "the run is 0"),
        (is_time_wrong, "the time of submission is out of range"),
    ];
    let wrong = checks.into_iter().find(|(is_wrong, _)| *is_wrong);
    wrong
        .map(|(_, reason)| reason)
        .or_else(|| options_out_of_bounds(&task.options, now))
}

fn is_out_of_bounds(origin: &Origin) -> bool {
    let has_data = origin.data().is_some() || origin.chunks > 0;
    let is_name_wrong = |name: &String| !(1..=MAX_EFFECT).contains(&name.len());
    !has_data
        || origin.effects.len() > MAX_EFFECTS
        || origin.effects.iter().any(is_name_wrong)
        || origin.chunks > MAX_CHUNKS
        || !(1..=MAX_FORMAT).contains(&origin.format.len())
}

/// As [`out_of_bounds`], for a task's options.
fn options_out_of_bounds(options: &Options, now: u64) -> Option<&'static str> {
    let latest = now.saturating_add((MAX_WAIT + CLOCK_TOLERANCE) * 1000);
    let is_over = |value: Option<u64>, most: u64| value.is_some_and(|value| value > most);
    let retries = options.max_retries.map(u64::from);
    let is_limit_wrong =
        options.time_limit == Some(0) || is_over(options.time_limit, MAX_TIME_LIMIT);
    let checks = [
        (
            is_over(options.eta, latest),
            "the eta is more than a year ahead",
        ),
        (
            is_over(options.expires, MAX_TIME),
            "the expiry is out of range",
        ),
        (
            is_over(retries, MAX_RETRIES.into()),
            "there are too many retries",
        ),
        (is_limit_wrong, "the time limit is out of range"),
    ];
    let wrong = checks.into_iter().find(|(is_wrong, _)| *is_wrong);
    wrong.map(|(_, reason)| reason)
}

/// The id in a body that is not a task of this version, if the body has an id.
pub fn find_id(body: &str) -> Option<TaskId> {
    #[derive(Deserialize)]
    struct HasId {
        id: TaskId,
    }
    let found = serde_json::from_str::<HasId>(body);
    found.ok().map(|found| found.id)
}

/// The body of a task's message.
///
/// # Errors
/// None in practice: every task can be written as JSON.
pub fn encode(task: &Task) -> serde_json::Result<String> {
    let body = serde_json::to_string(task)?;
    // SQS accepts the characters of XML 1.0. JSON already escapes all other characters but these two.
    // The two occur only inside strings, where an escape has the same meaning.
    Ok(match body.contains(['\u{fffe}', '\u{ffff}']) {
        true => body
            .replace('\u{fffe}', "\\ufffe")
            .replace('\u{ffff}', "\\uffff"),
        false => body,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::*;
    use crate::tasks::task::Priority;

    const NOW: u64 = 1_900_000_000_000;

    fn decode(body: &str) -> Result<Task, NotATask> {
        super::decode(body, NOW)
    }

    fn task(input: &str) -> Task {
        let input = RawValue::from_string(input.to_owned()).unwrap();
        Task::new(Uuid::nil(), "process_data", input, 5)
    }

    #[test]
    fn a_task_comes_back_as_it_was_sent() {
        let input = r#"{"b":1.0,"a":123456789012345678901234567890}"#;
        let mut sent = task(input);
        sent.run = 3;
        sent.caller = Some("someone".to_owned());
        sent.options.eta = Some(9);
        sent.options.priority = Priority::High;
        let received = decode(&encode(&sent).unwrap()).unwrap();
        assert_eq!(received.input().unwrap().get(), input);
        assert_eq!(received.options, sent.options);
        assert_eq!((received.id, received.run), (Uuid::nil().into(), 3));
        assert_eq!(received.caller.as_deref(), Some("someone"));
    }

    #[test]
    fn an_origin_comes_back_with_its_data_or_its_chunks() {
        let mut sent = task("1");
        let data = RawValue::from_string(r#"{"b":1.0,"a":null}"#.to_owned()).unwrap();
        sent.origin = Some(Origin::new("celery", vec!["result".to_owned()], data));
        let received = decode(&encode(&sent).unwrap()).unwrap().origin.unwrap();
        let data = received.data().unwrap();
        assert_eq!(received.effects, ["result"]);
        assert_eq!(
            (received.format.as_str(), data.get()),
            ("celery", r#"{"b":1.0,"a":null}"#)
        );
        sent.origin = Some(Origin::stored("celery", Vec::new(), 3));
        let received = decode(&encode(&sent).unwrap()).unwrap().origin.unwrap();
        assert!(received.data().is_none() && received.chunks == 3);
    }

    #[test]
    fn null_is_an_input() {
        let received = decode(&encode(&task("null")).unwrap()).unwrap();
        assert_eq!(received.input().map(RawValue::get), Some("null"));
        let mut stored = task("null");
        stored.without_input(2);
        let received = decode(&encode(&stored).unwrap()).unwrap();
        assert!(received.input().is_none() && received.input_chunks == 2);
    }

    #[test]
    fn a_message_omits_default_values() {
        let body = encode(&task("1")).unwrap();
        let id = Uuid::nil();
        let expected =
            format!(r#"{{"v":1,"id":"{id}","job":"process_data","submitted_at":5,"input":1}}"#);
        assert_eq!(body, expected);
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let body = encode(&task("\"a\u{ffff}\u{fffe}\"")).unwrap();
        assert!(body.contains(r"a\uffff\ufffe"), "{body}");
        let received = decode(&body).unwrap();
        let text: String = serde_json::from_str(received.input().unwrap().get()).unwrap();
        assert_eq!(text, "a\u{ffff}\u{fffe}");
    }

    #[test]
    fn malformed_messages_and_other_versions_have_different_errors() {
        for body in ["", "{}", "[]", r#"{"v":1,"id":"x"}"#] {
            assert!(
                matches!(decode(body), Err(NotATask::Malformed { .. })),
                "{body}"
            );
        }
        let newer = encode(&task("1")).unwrap().replace("\"v\":1", "\"v\":9");
        assert!(matches!(decode(&newer), Err(NotATask::Version(9))));
        assert_eq!(find_id(&newer), Some(Uuid::nil().into()));
        assert_eq!(find_id("{}"), None);
    }

    #[test]
    fn every_field_is_bounded() {
        let wrong = |change: fn(&mut Task)| {
            let mut task = task("1");
            change(&mut task);
            let decoded = decode(&encode(&task).unwrap());
            matches!(decoded, Err(NotATask::OutOfBounds(_)))
        };
        let year = MAX_WAIT * 1000;
        assert!(wrong(|task| task.job = "j".repeat(500_000)));
        assert!(wrong(|task| task.caller = Some("c".repeat(450_000))));
        assert!(wrong(|task| task.fingerprint = Some("f".repeat(450_000))));
        assert!(wrong(|task| task.without_input(0)));
        assert!(wrong(|task| task.without_input(u32::MAX)));
        assert!(wrong(|task| task.run = 0));
        assert!(wrong(
            |task| task.origin = Some(Origin::stored("celery", Vec::new(), 0))
        ));
        assert!(wrong(
            |task| task.origin = Some(Origin::stored("celery", Vec::new(), 1_001))
        ));
        assert!(wrong(|task| {
            let effects = vec!["e".to_owned(); 17];
            task.origin = Some(Origin::stored("celery", effects, 1));
        }));
        assert!(wrong(|task| {
            let effects = vec!["e".repeat(33)];
            task.origin = Some(Origin::stored("celery", effects, 1));
        }));
        assert!(wrong(
            |task| task.origin = Some(Origin::stored("", Vec::new(), 1))
        ));
        assert!(wrong(
            |task| task.origin = Some(Origin::stored(&"f".repeat(17), Vec::new(), 1))
        ));
        assert!(wrong(|task| task.submitted_at = u64::MAX));
        assert!(wrong(|task| task.options.eta = Some(u64::MAX)));
        assert!(wrong(|task| task.options.expires = Some(u64::MAX)));
        assert!(wrong(|task| task.options.max_retries = Some(101)));
        assert!(wrong(|task| task.options.time_limit = Some(0)));
        assert!(wrong(|task| task.options.time_limit = Some(901)));
        let mut due = task("1");
        due.options.eta = Some(NOW + year);
        due.options.expires = Some(MAX_TIME);
        due.caller = Some("c".repeat(MAX_CALLER));
        assert!(decode(&encode(&due).unwrap()).is_ok());
    }
}
