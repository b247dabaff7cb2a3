//! The form of a task's message: JSON of the whole [`Task`], with a version.
//!
//! A worker reads a message by its form. Another form gets a module beside this one, which makes a
//! [`Task`] of a message; the rest of the engine knows no form.

use serde::Deserialize;
use uuid::Uuid;

use super::task::Task;

/// The version of the form.
pub(super) const VERSION: u8 = 1;

/// Why a message is not a task.
#[derive(Debug, thiserror::Error)]
pub enum NotATask {
    /// It is not JSON of the right form.
    #[error("the message is not a task: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It comes from another version of this program.
    #[error("the message has version {0}, which this worker does not know")]
    Version(u8),
}

/// Reads a message's body.
///
/// # Errors
/// For a body that is not a task, or that is a task of another version.
pub fn decode(body: &str) -> Result<Task, NotATask> {
    #[derive(Deserialize)]
    struct HasVersion {
        v: u8,
    }
    match serde_json::from_str::<HasVersion>(body)?.v {
        VERSION => Ok(serde_json::from_str(body)?),
        other => Err(NotATask::Version(other)),
    }
}

/// The id in a body that is not a task of this version, if the body has an id.
pub fn find_id(body: &str) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct HasId {
        id: Uuid,
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
    // SQS accepts the characters of XML 1.0. JSON escapes all others but these two, which occur
    // only inside strings, where an escape means the same.
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

    use super::*;
    use crate::tasks::task::Priority;

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
        assert_eq!((received.id, received.run), (Uuid::nil(), 3));
        assert_eq!(received.caller.as_deref(), Some("someone"));
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
    fn a_plain_task_carries_nothing_that_it_does_not_need() {
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
    fn what_is_not_a_task_is_told_apart() {
        for body in ["", "{}", "[]", r#"{"v":1,"id":"x"}"#] {
            assert!(
                matches!(decode(body), Err(NotATask::Malformed(_))),
                "{body}"
            );
        }
        let newer = encode(&task("1")).unwrap().replace("\"v\":1", "\"v\":9");
        assert!(matches!(decode(&newer), Err(NotATask::Version(9))));
        assert_eq!(find_id(&newer), Some(Uuid::nil()));
        assert_eq!(find_id("{}"), None);
    }
}
