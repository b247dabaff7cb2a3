//! Looks at a simulated dead-letter queue, over the embedded DynamoDB.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::celery::outbox::Outbox;
use crate::clock::now_ms;
use crate::dynamodb::testing;
use crate::tasks::client::Submitter;
use crate::tasks::queue::TaskQueue;
use crate::tasks::record::TaskError;
use crate::tasks::state::State;
use crate::tasks::task::Task;
use crate::tasks::wire;
use crate::tasks::worker::testing::sqs_client;

const DEAD: &str = "http://sqs/dead";

/// SQS with a dead-letter queue. All other queues take messages.
#[derive(Debug, Clone, Default)]
struct Sqs(Arc<Mutex<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    letters: Vec<Stored>,
    /// The URL and the body of each message that was sent.
    sent: Vec<(String, String)>,
    /// The operation whose calls fail.
    failing: &'static str,
    receives: u32,
}

#[derive(Debug)]
struct Stored {
    id: String,
    body: String,
    reason: Option<String>,
    is_hidden: bool,
    receives: u32,
}

impl HttpConnector for Sqs {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let answer = self.0.lock().unwrap().answer(operation, &body);
        let (status, answer) = match answer {
            Some(answer) => (200, answer),
            None => (400, json!({"__type": "com.amazonaws.sqs#InvalidSecurity"})),
        };
        let status = status.try_into().unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, answer.to_string().into())))
    }
}

impl Queues {
    fn answer(&mut self, operation: &str, body: &Value) -> Option<Value> {
        if operation == self.failing {
            return None;
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match operation {
            "ReceiveMessage" => Some(self.receive(body["MaxNumberOfMessages"].as_u64()?)),
            "ChangeMessageVisibilityBatch" => {
                for entry in body["Entries"].as_array()? {
                    assert_eq!(entry["VisibilityTimeout"], 0);
                    let receipt = entry["ReceiptHandle"].as_str()?;
                    let mut letters = self.letters.iter_mut();
                    if let Some(letter) = letters.find(|letter| letter.receipt() == receipt) {
                        letter.is_hidden = false;
                    }
                }
                Some(json!({"Successful": [], "Failed": []}))
            }
            // SQS confirms a deletion by an outdated receipt, and deletes nothing.
            "DeleteMessage" => {
                let receipt = text("ReceiptHandle");
                self.letters.retain(|letter| letter.receipt() != receipt);
                Some(json!({}))
            }
            "SendMessage" => {
                self.sent.push((text("QueueUrl"), text("MessageBody")));
                Some(json!({"MessageId": "m"}))
            }
            "SendMessageBatch" => {
                for entry in body["Entries"].as_array()? {
                    let body = entry["MessageBody"].as_str()?.to_owned();
                    self.sent.push((text("QueueUrl"), body));
                }
                Some(json!({"Successful": [], "Failed": []}))
            }
            other => panic!("a call of {other}"),
        }
    }

    fn receive(&mut self, most: u64) -> Value {
        self.receives += 1;
        let visible = self.letters.iter_mut().filter(|letter| !letter.is_hidden);
        let received = visible.take(most.try_into().unwrap()).enumerate();
        let received = received.map(|(at, letter)| {
            letter.is_hidden = true;
            letter.receives += 1;
            let reason = letter.reason.as_ref().map(|reason| {
                json!({"reason": {"DataType": "String", "StringValue": reason}})
            });
            json!({
                "MessageId": letter.id,
                "ReceiptHandle": letter.receipt(),
                "Body": letter.body,
                "Attributes": {"SentTimestamp": at.to_string(), "ApproximateReceiveCount": letter.receives.to_string()},
                "MessageAttributes": reason,
            })
        });
        json!({"Messages": received.collect::<Vec<_>>()})
    }
}

impl Stored {
    fn receipt(&self) -> String {
        format!("{}/{}", self.id, self.receives)
    }
}

/// A dead-letter queue, and both parties that look at it.
struct World {
    sqs: Sqs,
    tasks: TaskStore,
    handler: LetterHandler,
    reader: LetterReader,
}

fn world() -> World {
    let sqs = Sqs::default();
    let client = sqs_client(sqs.clone());
    let table = testing::TASKS.to_owned();
    let tasks = TaskStore::new(testing::client(), table, Duration::from_secs(3600));
    let [normal, high] = ["tasks", "high"].map(|name| format!("http://sqs/{name}"));
    let queue = TaskQueue::new(client.clone(), normal, high);
    let letters = DeadLetters::new(client.clone(), DEAD.to_owned());
    let celery = Outbox::new(client, "celery=http://sqs/celery", "").unwrap();
    World {
        reader: LetterReader::new(letters.clone(), tasks.clone()),
        handler: LetterHandler {
            letters,
            tasks: tasks.clone(),
            submitter: Submitter::new(queue.clone(), tasks.clone(), None),
            queue,
            celery: Some(celery),
        },
        sqs,
        tasks,
    }
}

impl World {
    /// Puts a letter with this body into the queue, and returns its id.
    fn put(&self, body: &str) -> String {
        let mut state = self.sqs.0.lock().unwrap();
        let id = format!("m{}", state.letters.len());
        state.letters.push(Stored {
            id: id.clone(),
            body: body.to_owned(),
            reason: Some("why".to_owned()),
            is_hidden: false,
            receives: 0,
        });
        id
    }

    fn letters(&self) -> Vec<String> {
        let state = self.sqs.0.lock().unwrap();
        state
            .letters
            .iter()
            .map(|letter| letter.id.clone())
            .collect()
    }

    fn sent(&self) -> Vec<(String, String)> {
        self.sqs.0.lock().unwrap().sent.clone()
    }

    /// Whether no letter is hidden: the next look sees all.
    fn all_are_visible(&self) -> bool {
        let state = self.sqs.0.lock().unwrap();
        state.letters.iter().all(|letter| !letter.is_hidden)
    }

    fn fail(&self, operation: &'static str) {
        self.sqs.0.lock().unwrap().failing = operation;
    }

    async fn handle(&self, action: Action, ids: &[&str]) -> Vec<Outcome> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        self.handler.handle(action, &ids).await
    }

    /// A task that has failed because its message could not be processed.
    async fn failed_task(&self) -> Task {
        let task = task();
        let error = TaskError::new("UnknownJob", "there is no such job");
        self.tasks.reject(&task, &error).await.unwrap();
        task
    }

    async fn state(&self, task: &Task) -> State {
        self.tasks.get(&task.id).await.unwrap().unwrap().state
    }
}

fn task() -> Task {
    let input = RawValue::from_string("{}".to_owned()).unwrap();
    Task::new(Uuid::new_v4(), "report", input, now_ms())
}

fn celery_message(id: &str) -> String {
    json!({
        "body": "W10=", "content-type": "application/json", "content-encoding": "utf-8",
        "headers": {"id": id, "task": "app.report"},
        "properties": {"body_encoding": "base64", "delivery_info": {"routing_key": "celery"}},
    })
    .to_string()
}

#[tokio::test]
async fn a_list_shows_each_letter_once_and_leaves_all_visible() {
    let world = world();
    let task = task();
    world.put(&wire::encode(&task).unwrap());
    world.put(&celery_message("a"));
    world.put("no task");
    for _ in 0..22 {
        world.put("{}");
    }
    let shown = world.reader.list(100).await.unwrap();
    assert_eq!(shown.len(), 25);
    assert!(world.all_are_visible());
    let of = |id: &str| {
        shown
            .iter()
            .find(|shown| shown.letter.held.id == id)
            .unwrap()
    };
    let about = |id: &str| {
        let content = &of(id).content;
        let id = content.task_id.as_ref().map(|id| id.as_str().to_owned());
        (id, content.job.clone())
    };
    let named = |id: &str, job: &str| (Some(id.to_owned()), Some(job.to_owned()));
    assert_eq!(about("m0"), named(task.id.as_str(), "report"));
    assert_eq!(about("m1"), named("a", "app.report"));
    assert_eq!(about("m2"), (None, None));
    assert_eq!(of("m2").content.body.as_deref(), Some("no task"));
    assert_eq!(of("m2").letter.reason.as_deref(), Some("why"));
    assert_eq!(of("m2").letter.receives, 1);
    assert_eq!(world.reader.list(7).await.unwrap().len(), 7);
    assert!(world.all_are_visible());
}

#[tokio::test]
async fn letters_are_visible_after_a_list_that_failed() {
    let world = world();
    world.put("a");
    world.fail("ReceiveMessage");
    assert!(world.reader.list(10).await.is_err());
    assert!(world.all_are_visible());
}

#[tokio::test]
async fn a_retry_runs_the_task_again_and_deletes_its_letter() {
    let world = world();
    let task = world.failed_task().await;
    let id = world.put(&wire::encode(&task).unwrap());
    let other = world.put("other");
    let outcomes = world.handle(Action::Retry, &[&id, "unknown"]).await;
    assert_eq!(outcomes, [Outcome::Retried, Outcome::Gone]);
    assert_eq!(world.letters(), [other]);
    assert!(world.all_are_visible());
    assert_eq!(world.state(&task).await, State::Pending);
    let (url, body) = world.sent().remove(0);
    assert_eq!(url, "http://sqs/tasks");
    let again = wire::decode(&body, now_ms()).unwrap();
    assert_eq!((again.id, again.run), (task.id, 2));
}

#[tokio::test]
async fn a_letter_whose_deletion_failed_is_harmless() {
    let world = world();
    let task = world.failed_task().await;
    let id = world.put(&wire::encode(&task).unwrap());
    world.fail("DeleteMessage");
    assert_eq!(world.handle(Action::Retry, &[&id]).await, [Outcome::Failed]);
    assert!(world.all_are_visible());
    world.fail("");
    let refused = world.handle(Action::Retry, &[&id]).await;
    assert_eq!(
        refused,
        [Outcome::Refused("The task is pending".to_owned())]
    );
    assert_eq!(world.sent().len(), 1, "the task runs once");
    assert_eq!(
        world.handle(Action::Delete, &[&id]).await,
        [Outcome::Deleted]
    );
    assert!(world.letters().is_empty());
}

#[tokio::test]
async fn a_message_without_a_record_goes_back_to_its_queue() {
    let world = world();
    let task = task();
    let bodies = [
        wire::encode(&task).unwrap(),
        celery_message("never recorded"),
        celery_message(""),
        "no task".to_owned(),
        json!({"v": 99, "id": "a newer one"}).to_string(),
    ];
    let ids: Vec<String> = bodies.iter().map(|body| world.put(body)).collect();
    let outcomes = world.handler.handle(Action::Retry, &ids).await;
    assert_eq!(outcomes, vec![Outcome::SentBack; 5]);
    assert!(world.letters().is_empty());
    let mut sent = world.sent();
    sent.sort();
    let queues = ["tasks", "celery", "celery", "tasks", "tasks"];
    let expected = queues.into_iter().zip(bodies);
    let expected = expected.map(|(queue, body)| (format!("http://sqs/{queue}"), body));
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_message_for_an_unknown_queue_stays() {
    let world = world();
    let body = celery_message("x").replace("\"celery\"", "\"other\"");
    let id = world.put(&body);
    let refused = Outcome::Refused("the queue \"other\" is not configured".to_owned());
    assert_eq!(world.handle(Action::Retry, &[&id]).await, [refused]);
    assert_eq!(world.letters(), [id]);
    assert!(world.all_are_visible());
}

#[tokio::test]
async fn a_letter_is_found_behind_many_others() {
    let world = world();
    for _ in 0..57 {
        world.put("other");
    }
    let id = world.put("wanted");
    assert_eq!(
        world.handle(Action::Delete, &[&id]).await,
        [Outcome::Deleted]
    );
    assert_eq!(world.letters().len(), 57);
    assert!(world.all_are_visible());
    assert_eq!(world.sqs.0.lock().unwrap().receives, 6);
}

#[tokio::test]
async fn a_letter_too_far_behind_is_not_reached() {
    let world = world();
    for _ in 0..1_001 {
        world.put("other");
    }
    let id = world.put("wanted");
    assert_eq!(
        world.handle(Action::Delete, &[&id]).await,
        [Outcome::NotReached]
    );
    assert_eq!(world.letters().len(), 1_002);
    assert!(world.all_are_visible());
}

#[tokio::test]
async fn a_stored_body_is_shown_and_sent_back_whole() {
    let world = world();
    let body = format!("no task {}", "x".repeat(1_000_000));
    let (id, parts) = world.tasks.put_body(&body).await.unwrap();
    let reference = |id: &str| {
        let stored = json!({"id": id, "parts": parts, "bytes": body.len()});
        json!({"stored_body": stored, "task_id": null}).to_string()
    };
    let letter = world.put(&reference(id.as_str()));
    let shown = world.reader.list(1).await.unwrap().remove(0);
    assert_eq!(shown.content.body.as_ref(), Some(&body));
    let outcomes = world.handle(Action::Retry, &[&letter]).await;
    assert_eq!(outcomes, [Outcome::SentBack]);
    assert_eq!(
        world.sent(),
        [("http://sqs/tasks".to_owned(), body.clone())]
    );
    // A reference to another row shows nothing of the row.
    let lost = world.put(&reference("another"));
    let shown = world.reader.list(1).await.unwrap().remove(0);
    assert!(shown.content.body.is_none());
    let refused = Outcome::Refused("The body of the message is lost".to_owned());
    assert_eq!(world.handle(Action::Retry, &[&lost]).await, [refused]);
}

#[tokio::test]
async fn letters_stay_if_sqs_takes_no_message() {
    let world = world();
    let id = world.put("no task");
    world.fail("SendMessage");
    assert_eq!(world.handle(Action::Retry, &[&id]).await, [Outcome::Failed]);
    world.fail("ReceiveMessage");
    assert_eq!(
        world.handle(Action::Delete, &[&id]).await,
        [Outcome::Failed]
    );
    assert_eq!(world.letters(), [id]);
    assert!(world.all_are_visible());
}
