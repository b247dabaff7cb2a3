//! The two sides behind the producer: this service's worker over SQS and DynamoDB, and Celery's over
//! Redis.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_stack::Result;
use local_stack::celery_client::Broker;
use local_stack::process::Process;
use serde_json::Value;

use super::bodies::{Bodies, TASK};
use super::producer::Producer;
use crate::aws::Seen;
use crate::groups::mapping::Mapping;
use crate::groups::tasks::board::Board;
use crate::groups::tasks::python::watch;
use crate::groups::tasks::redis::Results;
use crate::peers::{Peers, Served, redis_url};
use crate::stage::Stage;
use crate::workload::CELERY_QUEUE as QUEUE;

/// The table of Celery's results.
const RESULTS: &str = "async-service-celery-results";
/// The processes of the function `worker`, as in the group of tasks.
const WORKERS: usize = 2;

/// This service's worker.
pub struct Service {
    /// The times at which results were stored.
    pub board: Arc<Board>,
    /// The producer.
    pub producer: Producer,
    /// The workers.
    pub mapping: Mapping,
    /// The processes that run bodies in Python, if the tasks have such bodies.
    pub bodies: Option<Bodies>,
}

/// A Celery worker and Redis.
pub struct Celery {
    /// The times at which results were stored.
    pub board: Arc<Board>,
    /// The producer.
    pub producer: Producer,
    results: TcpStream,
    watcher: Option<JoinHandle<()>>,
    worker: Process,
    redis: Served,
}

impl Service {
    /// Starts the workers and a producer.
    ///
    /// # Errors
    /// When a part does not start, or a first task has no result.
    pub fn start(stage: &Stage, peers: &Peers) -> Result<Service> {
        let broker = broker(stage);
        let board = Arc::default();
        let mapping = mapping(stage, &board, &[])?;
        Ok(Service {
            producer: Producer::start(peers.producer(&broker)?)?,
            board,
            mapping,
            bodies: None,
        })
    }

    /// As [`Service::start`], with the bodies of tasks in Python.
    ///
    /// # Errors
    /// When a part does not start, or a first task has no result.
    pub fn with_bodies(stage: &Stage, peers: &Peers) -> Result<Service> {
        let broker = broker(stage);
        let bodies = Bodies::start(stage, peers, &broker)?;
        let board = Arc::default();
        let mapping = mapping(stage, &board, &bodies.variables())?;
        let mut producer = peers.producer(&broker)?;
        producer.env("TASK", TASK);
        Ok(Service {
            producer: Producer::start(producer)?,
            board,
            mapping,
            bodies: Some(bodies),
        })
    }
}

impl Celery {
    /// Starts Redis, a worker with these options, and a producer. `None` when Redis is not installed.
    ///
    /// # Errors
    /// When a part does not start, or a first task has no result.
    pub fn start(peers: &Peers, options: &[&str]) -> Result<Option<Celery>> {
        let Some(redis) = peers.redis()? else {
            return Ok(None);
        };
        let results = Results::subscribe(redis.port)?;
        let (worker, _) = peers.celery_with(redis.port, "INFO", options)?;
        let url = redis_url(redis.port);
        let broker = Broker {
            url: url.clone(),
            results: url,
            options: "{}".to_owned(),
            endpoint: None,
        };
        let board = Arc::new(Board::default());
        Ok(Some(Celery {
            producer: Producer::start(peers.producer(&broker)?)?,
            results: results.stream()?,
            watcher: Some(watch(results, Arc::clone(&board))),
            board,
            worker,
            redis,
        }))
    }

    /// The parent of the processes that run tasks.
    #[must_use]
    pub fn worker(&self) -> u32 {
        self.worker.id()
    }

    /// The process of the queue and the results.
    #[must_use]
    pub fn redis(&self) -> u32 {
        self.redis.pid()
    }
}

impl Drop for Celery {
    fn drop(&mut self) {
        // Ends the wait of the watcher's thread.
        let _ = self.results.shutdown(Shutdown::Both);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// The settings of a client of this stage.
fn broker(stage: &Stage) -> Broker {
    Broker::sqs(&format!("http://127.0.0.1:{}", stage.endpoint().port()))
}

/// Workers of an empty queue, whose stored results are on the board.
fn mapping(stage: &Stage, board: &Arc<Board>, variables: &[(String, String)]) -> Result<Mapping> {
    let queue = stage.queue_named(QUEUE);
    queue.purge()?;
    let mapping = Mapping::start_with(stage, queue, WORKERS, variables)?;
    observe(stage, board, &mapping);
    Ok(mapping)
}

/// Records stored results, and wakes the mapping for each message to Celery's queue, while the board
/// and the mapping exist.
fn observe(stage: &Stage, board: &Arc<Board>, mapping: &Mapping) {
    let (board, feed) = (Arc::downgrade(board), mapping.feed());
    stage.endpoint().observe(move |seen| {
        let (Some(board), Some(feed)) = (board.upgrade(), feed.upgrade()) else {
            return;
        };
        match seen.operation {
            "SendMessage" | "SendMessageBatch" => feed.sent(messages(seen)),
            "PutItem" | "TransactWriteItems" => {
                if let Some(id) = succeeded(seen) {
                    board.stored(&id, seen.at);
                }
            }
            _ => {}
        }
    });
}

/// The number of messages that a call sends to Celery's queue.
fn messages(seen: &Seen<'_>) -> i64 {
    let request: Value = serde_json::from_slice(seen.body).unwrap_or_default();
    let url = request["QueueUrl"].as_str().unwrap_or_default();
    match (url.ends_with(QUEUE), request["Entries"].as_array()) {
        (false, _) => 0,
        (true, None) => 1,
        (true, Some(entries)) => i64::try_from(entries.len()).unwrap_or_default(),
    }
}

/// The id of the task whose result a write stores, if it has succeeded.
fn succeeded(seen: &Seen<'_>) -> Option<String> {
    let request: Value = serde_json::from_slice(seen.body).ok()?;
    let mut writes = request["TransactItems"].as_array().into_iter().flatten();
    let together = writes.find_map(|write| write.get("Put"));
    let request = together.unwrap_or(&request);
    let item = &request["Item"];
    let key = item["id"]["S"].as_str()?;
    let id = key
        .strip_prefix("b'celery-task-meta-")?
        .strip_suffix('\'')?;
    let result = STANDARD.decode(item["result"]["B"].as_str()?).ok()?;
    let result: Value = serde_json::from_slice(&result).ok()?;
    (request["TableName"] == RESULTS && result["status"] == "SUCCESS").then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    fn seen<'a>(operation: &'a str, body: &'a str) -> Seen<'a> {
        Seen {
            operation,
            body: body.as_bytes(),
            at: Instant::now(),
        }
    }

    #[test]
    fn messages_to_celery_s_queue_are_counted() {
        let url = format!("http://127.0.0.1:1/000000000000/{QUEUE}");
        let one = json!({"QueueUrl": url, "MessageBody": "x"}).to_string();
        let three = json!({"QueueUrl": url, "Entries": [1, 2, 3]}).to_string();
        let other = json!({"QueueUrl": format!("{url}-dead")}).to_string();
        let counts = [one, three, other].map(|body| messages(&seen("SendMessage", &body)));
        assert_eq!(counts, [1, 3, 0]);
    }

    #[test]
    fn only_a_success_is_a_stored_result() {
        let row = |key: &str, status: &str| {
            let result = STANDARD.encode(json!({"status": status}).to_string());
            let item = json!({"id": {"S": key}, "result": {"B": result}});
            json!({"TableName": RESULTS, "Item": item})
        };
        let id = |key: &str, status: &str| {
            let put = row(key, status);
            let together = json!({"TransactItems": [{"Update": {}}, {"Put": put}]});
            let id = succeeded(&seen("PutItem", &put.to_string()));
            let of_two = succeeded(&seen("TransactWriteItems", &together.to_string()));
            assert_eq!(id, of_two);
            id
        };
        assert_eq!(id("b'celery-task-meta-x'", "SUCCESS").as_deref(), Some("x"));
        assert_eq!(id("b'celery-task-meta-x'", "STARTED"), None);
        assert_eq!(id("b'celery-taskset-meta-x'", "SUCCESS"), None);
    }
}
