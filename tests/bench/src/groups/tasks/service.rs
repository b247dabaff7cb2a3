//! This service: `process` functions behind a queue of requests, and `worker` functions that get
//! batches as from Lambda's event source mapping.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use local_stack::{Context, Error, Result};
use serde_json::Value;

use super::board::Board;
use crate::aws::Seen;
use crate::groups::mapping::{Fed, Mapping};
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
    mapping: Mapping,
}

impl Service {
    /// Starts processes of both functions.
    ///
    /// # Errors
    /// When a part of the service does not start.
    pub fn start(stage: &Stage, processes: usize, workers: usize) -> Result<Service> {
        let queue = stage.queue();
        queue.purge()?;
        let board = Arc::default();
        let process = Pool::start(stage, "process", processes)?;
        let submission = stage.event("POST", "/process/", Some(super::DATA))?.1;
        let mapping = Mapping::start(stage, queue, workers)?;
        observe(stage, &board, &mapping);
        Ok(Service {
            board,
            process,
            submission,
            mapping,
        })
    }

    /// Submits a task and returns its id.
    ///
    /// # Errors
    /// When the submission is refused, or a worker has failed.
    pub fn submit(&self) -> Result<String> {
        self.mapping.check()?;
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
        self.mapping.workers()
    }

    /// The work that the workers have received.
    #[must_use]
    pub fn fed(&self) -> Fed {
        self.mapping.fed()
    }
}

/// Records stored results, and wakes the mapping for each sent message, while the board and the
/// mapping exist.
fn observe(stage: &Stage, board: &Arc<Board>, mapping: &Mapping) {
    let (board, feed) = (Arc::downgrade(board), mapping.feed());
    stage.endpoint().observe(move |seen| {
        let (Some(board), Some(feed)) = (board.upgrade(), feed.upgrade()) else {
            return;
        };
        if seen.operation == "SendMessage" {
            feed.sent(1);
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
