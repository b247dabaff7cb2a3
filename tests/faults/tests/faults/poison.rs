//! Messages that are not tasks, and duplicate messages.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::service::Service;

/// The longest time until the queue is empty.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message that the test sends to the task queue itself.
#[derive(Debug, Clone)]
pub struct Message {
    pub body: String,
    /// The id of the message's task, if it has one.
    pub id: Option<String>,
    /// The type of the task's error; `None` for a task that completes.
    pub fails: Option<&'static str>,
    /// Whether the message is sent twice.
    pub twice: bool,
}

impl Message {
    fn good(random: &mut Rng, twice: bool) -> Message {
        let id = uuid(random);
        let body = json!({"v": 1, "id": id, "job": "process_data", "submitted_at": 1,
            "options": {"max_retries": 20}, "input": {"values": [1, 2, 3]}});
        Message {
            body: body.to_string(),
            id: Some(id),
            fails: None,
            twice,
        }
    }

    fn bad(random: &mut Rng, change: impl FnOnce(&mut Value), fails: &'static str) -> Message {
        let good = Message::good(random, false);
        let mut body: Value = serde_json::from_str(&good.body).expect("a task");
        change(&mut body);
        Message {
            body: body.to_string(),
            fails: Some(fails),
            ..good
        }
    }

    /// A text that is not a task and has no task id.
    fn nonsense(text: String) -> Message {
        Message {
            body: text,
            id: None,
            fails: Some(""),
            twice: false,
        }
    }

    /// Whether the message must end in the dead-letter queue.
    pub fn is_poison(&self) -> bool {
        self.fails.is_some()
    }
}

/// One message of each kind, in random order.
pub fn messages(random: &mut Rng) -> Vec<Message> {
    let unknown = |task: &mut Value| task["job"] = json!("no_such_job");
    let later = |task: &mut Value| task["v"] = json!(99);
    let timeless = |task: &mut Value| task["submitted_at"] = json!("yesterday");
    let salt = random.u32(..);
    let mut messages = vec![
        // SQS refuses an empty message.
        Message::nonsense(" ".repeat(1 + salt as usize % 500)),
        Message::nonsense(format!("this is not a task: {salt}")),
        Message::nonsense(format!(r#"{{"v":1,"job":"process_data","salt":{salt}}}"#)),
        Message::bad(random, unknown, "UnknownJob"),
        Message::bad(random, later, "Malformed"),
        Message::bad(random, timeless, "Malformed"),
        Message::good(random, true),
        Message::good(random, false),
        Message::good(random, false),
    ];
    random.shuffle(&mut messages);
    messages
}

pub fn uuid(random: &mut Rng) -> String {
    let (a, b) = (random.u64(..), random.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// Without faults: a batch with one message of each kind.
pub fn is_dead_lettered_and_its_batch_runs(service: &Service) {
    service.take_dead_letters();
    let messages = messages(&mut Rng::with_seed(1));
    let body = |message: &Message| message.body.clone();
    let mut bodies: Vec<String> = messages.iter().map(body).collect();
    bodies.extend(messages.iter().filter(|message| message.twice).map(body));
    service.send_together(&bodies);
    assert!(
        service.eventually(PATIENCE, || service.queued() == 0),
        "the queue still has {} messages",
        service.queued()
    );
    for message in &messages {
        check_task(service, message);
    }
    let mut dead_letters = service.take_dead_letters();
    assert!(
        dead_letters.iter().all(|(_, reason)| !reason.is_empty()),
        "{dead_letters:?}"
    );
    dead_letters.sort();
    let dead: Vec<String> = dead_letters.into_iter().map(|(body, _)| body).collect();
    let poison = messages.into_iter().filter(Message::is_poison);
    let mut poison: Vec<String> = poison.map(|message| message.body).collect();
    poison.sort();
    assert_eq!(dead, poison);
}

/// Checks the end of a message's task.
fn check_task(service: &Service, message: &Message) {
    let Some(id) = &message.id else { return };
    let task = service.task(id);
    let end = message.fails.map_or("completed", |_| "failed");
    assert_eq!(task["state"], end, "{task}");
    let kind = message.fails.filter(|kind| !kind.is_empty());
    assert_eq!(task["error"]["type"].as_str(), kind, "{task}");
    assert_eq!(service.observer().endings(id), [end], "{task}");
    // A poison message starts no attempt, and a duplicate starts no second attempt.
    let attempts = usize::from(!message.is_poison());
    let begun = task["attempts"].as_array().map(Vec::len);
    assert_eq!(begun, Some(attempts), "{task}");
}
