//! A task as it travels: what was asked for, by whom, and how it is to be run.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The version of the form in which a [`Task`] is sent.
const VERSION: u8 = 1;

/// One submission of a job: the whole of it, so that a worker needs nothing else to run it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The version of this form.
    v: u8,
    /// The task.
    pub id: Uuid,
    /// The name of its job.
    pub job: String,
    /// Which run this is, from 1: a task that ended may be run again under its id.
    #[serde(default = "first_run", skip_serializing_if = "is_first_run")]
    pub run: u32,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub submitted_at: u64,
    /// How it is to be run.
    #[serde(default, skip_serializing_if = "Options::are_default")]
    pub options: Options,
    /// Who submitted it, where callers are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// What a submission with an idempotency key asked for, as a hash. Of two submissions that use
    /// one key for different things, only the first to be recorded is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The job's input as JSON text, where it travels with the task.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    input: Option<Box<RawValue>>,
    /// How many chunks of the input are stored beside the record; 0 where it travels.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_chunks: u32,
}

/// How a task is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Not before this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<u64>,
    /// Not after this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Attempts after the first, in place of the job's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The longest time of one attempt in seconds, in place of the job's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u64>,
    /// Which queue carries it.
    #[serde(default)]
    pub priority: Priority,
}

/// Which queue carries a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// The queue of most tasks.
    #[default]
    Normal,
    /// A queue with workers of its own, for what somebody waits for.
    High,
}

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

impl Task {
    /// A first run of a task whose input travels with it.
    pub fn new(id: Uuid, job: &str, input: Box<RawValue>, submitted_at: u64) -> Task {
        Task {
            v: VERSION,
            id,
            job: job.to_owned(),
            run: first_run(),
            submitted_at,
            options: Options::default(),
            caller: None,
            fingerprint: None,
            input: Some(input),
            input_chunks: 0,
        }
    }

    /// The same, to be run as these options say.
    pub fn with_options(mut self, options: Options) -> Task {
        self.options = options;
        self
    }

    /// The input, where it travels with the task.
    pub fn input(&self) -> Option<&RawValue> {
        self.input.as_deref()
    }

    /// Leaves the input behind: it is stored in this many chunks.
    pub fn without_input(&mut self, chunks: u32) {
        self.input = None;
        self.input_chunks = chunks;
    }

    /// Reads a message's body.
    ///
    /// # Errors
    /// For what is no task, or one of another version of this form.
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

    /// The id in a body that is not a task of this version, if it has one.
    pub fn find_id(body: &str) -> Option<Uuid> {
        #[derive(Deserialize)]
        struct HasId {
            id: Uuid,
        }
        let found = serde_json::from_str::<HasId>(body);
        found.ok().map(|found| found.id)
    }

    /// The message's body.
    pub fn encode(&self) -> serde_json::Result<String> {
        let body = serde_json::to_string(self)?;
        // SQS takes the characters that XML 1.0 takes. JSON escapes all others but these two,
        // and they can stand only inside of strings, where an escape means the same.
        Ok(match body.contains(['\u{fffe}', '\u{ffff}']) {
            true => body
                .replace('\u{fffe}', "\\ufffe")
                .replace('\u{ffff}', "\\uffff"),
            false => body,
        })
    }
}

impl Options {
    /// How long from `now` the task is to wait, if at all.
    pub fn wait(&self, now: u64) -> Option<Duration> {
        let left = self.eta?.saturating_sub(now);
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whether the time in which it may begin is over.
    pub fn have_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn are_default(&self) -> bool {
        *self == Options::default()
    }
}

impl Priority {
    /// Its name in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Normal => "normal",
            Priority::High => "high",
        }
    }

    /// The priority of a name.
    pub fn from_name(name: &str) -> Option<Priority> {
        [Priority::Normal, Priority::High]
            .into_iter()
            .find(|priority| priority.as_str() == name)
    }
}

fn first_run() -> u32 {
    1
}

fn is_first_run(run: &u32) -> bool {
    *run == first_run()
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// `null` is an input too; without this it would be read as none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let received = Task::decode(&sent.encode().unwrap()).unwrap();
        assert_eq!(received.input().unwrap().get(), input);
        assert_eq!(received.options, sent.options);
        assert_eq!((received.id, received.run), (Uuid::nil(), 3));
        assert_eq!(received.caller.as_deref(), Some("someone"));
    }

    #[test]
    fn null_is_an_input() {
        let received = Task::decode(&task("null").encode().unwrap()).unwrap();
        assert_eq!(received.input().map(RawValue::get), Some("null"));
        let mut stored = task("null");
        stored.without_input(2);
        let received = Task::decode(&stored.encode().unwrap()).unwrap();
        assert!(received.input().is_none() && received.input_chunks == 2);
    }

    #[test]
    fn a_plain_task_carries_nothing_that_it_does_not_need() {
        let body = task("1").encode().unwrap();
        let id = Uuid::nil();
        let expected =
            format!(r#"{{"v":1,"id":"{id}","job":"process_data","submitted_at":5,"input":1}}"#);
        assert_eq!(body, expected);
    }

    #[test]
    fn characters_that_sqs_refuses_are_escaped() {
        let body = task("\"a\u{ffff}\u{fffe}\"").encode().unwrap();
        assert!(body.contains(r"a\uffff\ufffe"), "{body}");
        let received = Task::decode(&body).unwrap();
        let text: String = serde_json::from_str(received.input().unwrap().get()).unwrap();
        assert_eq!(text, "a\u{ffff}\u{fffe}");
    }

    #[test]
    fn what_is_not_a_task_is_told_apart() {
        for body in ["", "{}", "[]", r#"{"v":1,"id":"x"}"#] {
            assert!(
                matches!(Task::decode(body), Err(NotATask::Malformed(_))),
                "{body}"
            );
        }
        let newer = task("1").encode().unwrap().replace("\"v\":1", "\"v\":9");
        assert!(matches!(Task::decode(&newer), Err(NotATask::Version(9))));
        assert_eq!(Task::find_id(&newer), Some(Uuid::nil()));
        assert_eq!(Task::find_id("{}"), None);
    }

    #[test]
    fn times_are_limits_that_count_from_themselves() {
        let options = Options {
            eta: Some(10),
            expires: Some(20),
            ..Options::default()
        };
        assert_eq!(options.wait(9), Some(Duration::from_millis(1)));
        assert_eq!(options.wait(10), None);
        assert!(!options.have_expired(19) && options.have_expired(20));
        assert!(!Options::default().have_expired(u64::MAX));
    }
}
