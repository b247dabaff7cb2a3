//! The FastAPI service: FastAPI on uvicorn, a Celery worker, and Redis between them.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use local_stack::process::Process;
use local_stack::{Context, Error, Result};
use serde_json::Value;
use ureq::Agent;

use super::board::Board;
use super::redis::Results;
use crate::peers::{Peers, Served};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running service.
pub struct Python {
    /// The times at which results were stored.
    pub board: Arc<Board>,
    agent: Agent,
    results: TcpStream,
    watcher: Option<JoinHandle<()>>,
    // The order of these fields is the order in which the programs are stopped.
    uvicorn: Served,
    celery: Process,
    redis: Served,
}

impl Python {
    /// Starts the programs, and waits until one task has passed through all of them. `None` when
    /// Redis is not installed.
    ///
    /// # Errors
    /// When a program does not start.
    pub fn start(peers: &Peers, upstream: &str) -> Result<Option<Python>> {
        let Some(redis) = peers.redis()? else {
            return Ok(None);
        };
        let results = Results::subscribe(redis.port)?;
        let (uvicorn, _) = peers.service(redis.port, upstream)?;
        let (celery, _) = peers.celery(redis.port, "WARNING")?;
        let board = Arc::new(Board::default());
        let peer = Python {
            agent: agent(),
            results: results.stream()?,
            watcher: Some(watch(results, Arc::clone(&board))),
            board,
            uvicorn,
            celery,
            redis,
        };
        peer.board.wait(&peer.submit()?)?;
        Ok(Some(peer))
    }

    /// Submits a task and returns its id.
    ///
    /// # Errors
    /// When the submission is refused.
    pub fn submit(&self) -> Result<String> {
        let url = format!("http://127.0.0.1:{}/process/", self.uvicorn.port);
        let request = self.agent.post(&url);
        let request = request.header("content-type", "application/json");
        let mut answer = request.send(super::DATA).context("FastAPI")?;
        let text = answer.body_mut().read_to_string().context("FastAPI")?;
        let answer: Value = serde_json::from_str(&text).context("FastAPI")?;
        let id = answer["task_id"].as_str();
        let id = id.ok_or_else(|| Error::new(format!("no id in {answer}")))?;
        Ok(id.to_owned())
    }

    /// The process that accepts tasks.
    #[must_use]
    pub fn uvicorn(&self) -> u32 {
        self.uvicorn.pid()
    }

    /// The parent of the process that runs tasks; both use CPU time.
    #[must_use]
    pub fn celery(&self) -> u32 {
        self.celery.id()
    }

    /// The process of the queue and the results.
    #[must_use]
    pub fn redis(&self) -> u32 {
        self.redis.pid()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Ends the wait of the watcher's thread.
        let _ = self.results.shutdown(Shutdown::Both);
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}

/// Records each stored result until the connection ends.
pub fn watch(mut results: Results, board: Arc<Board>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while let Ok(id) = results.next() {
            board.stored(&id, Instant::now());
        }
    })
}

/// An agent that keeps a connection open for each of many clients.
fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .max_idle_connections(100)
        .max_idle_connections_per_host(100)
        .build()
        .new_agent()
}
