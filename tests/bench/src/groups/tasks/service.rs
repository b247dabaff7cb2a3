//! This service: `process` functions behind a queue of requests, and `worker` functions that get
//! batches as from Lambda's event source mapping.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use local_stack::{Context, Error, Result};
use serde_json::Value;

use super::board::Board;
use crate::aws::Seen;
use crate::queue::{Queue, event, is_done};
use crate::runtime::Function;
use crate::stage::{Stage, http_answer};

/// Processes of one function, each of which serves one request at a time.
pub struct Pool {
    idle: Mutex<Receiver<Function>>,
    back: Sender<Function>,
    pids: Vec<u32>,
}

impl Pool {
    /// Starts the processes.
    ///
    /// # Errors
    /// When a process does not start.
    pub fn start(stage: &Stage, name: &str, size: usize) -> Result<Pool> {
        let program = stage.program(name)?;
        let (back, idle) = channel();
        let mut pids = Vec::new();
        for _ in 0..size {
            let (function, _) = Function::start(&program)?;
            pids.push(function.pid());
            let _ = back.send(function);
        }
        Ok(Pool {
            idle: Mutex::new(idle),
            back,
            pids,
        })
    }

    /// The process ids.
    #[must_use]
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// Sends an event to the first free process, and returns the answer.
    ///
    /// # Errors
    /// When the function fails.
    pub fn invoke(&self, event: &[u8]) -> Result<Value> {
        let idle = lock(&self.idle).recv();
        let mut function = idle.context("all processes have ended")?;
        let answer = function.invoke(event);
        // A failed process is returned too: other callers wait for it, and get its error.
        let _ = self.back.send(function);
        let (status, body) = http_answer(&answer?)?;
        match status {
            200..300 => Ok(body),
            _ => Err(Error::new(format!("answered {status}: {body}"))),
        }
    }
}

/// The running service.
pub struct Service {
    /// The times at which results were stored.
    pub board: Arc<Board>,
    process: Pool,
    submission: String,
    mapping: Arc<Mapping>,
    feeders: Vec<JoinHandle<()>>,
    workers: Vec<u32>,
}

/// The work of the event source mapping so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fed {
    /// Invocations of the worker.
    pub batches: u64,
    /// Messages in all batches.
    pub messages: u64,
}

/// The event source mapping, which its threads share.
struct Mapping {
    queue: Queue,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of sent messages minus the number of received ones.
    waiting: i64,
    stopped: bool,
    fed: Fed,
    failure: Option<Error>,
}

impl Service {
    /// Starts processes of both functions.
    ///
    /// # Errors
    /// When a part of the service does not start.
    pub fn start(stage: &Stage, processes: usize, workers: usize) -> Result<Service> {
        let queue = stage.queue();
        queue.purge()?;
        let (board, mapping) = (Arc::default(), Arc::new(Mapping::new(queue)));
        observe(stage, &board, &mapping);
        let mut service = Service {
            process: Pool::start(stage, "process", processes)?,
            submission: stage.event("POST", "/process/", Some(super::DATA))?.1,
            board,
            mapping,
            feeders: Vec::new(),
            workers: Vec::new(),
        };
        for _ in 0..workers {
            let (worker, _) = Function::start(&stage.program("worker")?)?;
            service.workers.push(worker.pid());
            let mapping = Arc::clone(&service.mapping);
            let feeder = std::thread::spawn(move || mapping.feed(worker));
            service.feeders.push(feeder);
        }
        Ok(service)
    }

    /// Submits a task and returns its id.
    ///
    /// # Errors
    /// When the submission is refused, or a worker has failed.
    pub fn submit(&self) -> Result<String> {
        if let Some(error) = self.mapping.state().failure.take() {
            return Err(error);
        }
        let answer = self.process.invoke(self.submission.as_bytes())?;
        let id = answer["task_id"].as_str();
        let id = id.ok_or_else(|| Error::new(format!("no id in {answer}")))?;
        Ok(id.to_owned())
    }

    /// The processes that accept tasks.
    #[must_use]
    pub fn processes(&self) -> &[u32] {
        self.process.pids()
    }

    /// The processes that run tasks.
    #[must_use]
    pub fn workers(&self) -> &[u32] {
        &self.workers
    }

    /// The work that the workers have received.
    #[must_use]
    pub fn fed(&self) -> Fed {
        self.mapping.state().fed
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.mapping.state().stopped = true;
        self.mapping.changed.notify_all();
        for feeder in self.feeders.drain(..) {
            let _ = feeder.join();
        }
    }
}

/// Records stored results, and wakes the mapping for each sent message, while the board and the
/// mapping exist.
fn observe(stage: &Stage, board: &Arc<Board>, mapping: &Arc<Mapping>) {
    let (board, mapping) = (Arc::downgrade(board), Arc::downgrade(mapping));
    stage.endpoint().observe(move |seen| {
        let (Some(board), Some(mapping)) = (board.upgrade(), mapping.upgrade()) else {
            return;
        };
        if seen.operation == "SendMessage" {
            mapping.state().waiting += 1;
            mapping.changed.notify_one();
        } else if let Some(id) = completed(seen) {
            board.stored(&id, seen.at);
        }
    });
}

/// The id of the task that a write completes, if it completes one.
fn completed(seen: &Seen<'_>) -> Option<String> {
    const COMPLETED: &str = r#"{"S":"completed"}"#;
    let text = std::str::from_utf8(seen.body).ok()?;
    if seen.operation != "UpdateItem" || !text.contains(COMPLETED) {
        return None;
    }
    let request: Value = serde_json::from_str(text).ok()?;
    let state = &request["ExpressionAttributeValues"][":state"]["S"];
    let id = request["Key"]["id"]["S"].as_str();
    id.filter(|_| state == "completed").map(str::to_owned)
}

impl Mapping {
    fn new(queue: Queue) -> Mapping {
        Mapping {
            queue,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sends a worker one batch after another until the service stops.
    fn feed(&self, mut worker: Function) {
        while self.wait() {
            if let Err(error) = self.batch(&mut worker) {
                self.state().failure = Some(error);
            }
        }
    }

    /// Waits for messages. SQS answers a long poll as soon as a message arrives. ministack checks
    /// an empty queue only every 100 ms, so this function polls only after a message was sent.
    fn wait(&self) -> bool {
        let mut state = self.state();
        while state.waiting <= 0 && !state.stopped {
            let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.stopped
    }

    fn batch(&self, worker: &mut Function) -> Result<()> {
        let records = self.queue.receive(Duration::ZERO)?;
        let count = records.len();
        self.state().waiting -= i64::try_from(count).unwrap_or_default();
        if count == 0 {
            return Ok(());
        }
        let answer = worker.invoke(event(&records).as_bytes())?.body;
        if !is_done(&answer) {
            let text = String::from_utf8_lossy(&answer);
            return Err(Error::new(format!("the worker failed: {text}")));
        }
        self.queue.delete(&records)?;
        let mut state = self.state();
        state.fed.batches += 1;
        state.fed.messages += count as u64;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn only_a_write_with_a_result_completes_a_task() {
        let of = |operation: &str, body: &str| {
            completed(&Seen {
                operation,
                body: body.as_bytes(),
                at: Instant::now(),
            })
        };
        let body = r#"{"Key":{"id":{"S":"a"},"part":{"N":"0"}},
            "ExpressionAttributeValues":{":state":{"S":"completed"}}}"#;
        assert_eq!(of("UpdateItem", body).as_deref(), Some("a"));
        assert_eq!(of("PutItem", body), None);
        let claim = body.replace(":state", ":is_completed");
        assert_eq!(of("UpdateItem", &claim), None);
    }
}
