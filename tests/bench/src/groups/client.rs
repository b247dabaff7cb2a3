//! A client of the FastAPI service, over one open connection.

use std::time::{Duration, Instant};

use local_stack::{Context, Result};
use serde_json::Value;
use ureq::Agent;

use super::invocations::Load;
use crate::usage::{Memory, Meter};

/// A client of a server on loopback.
pub struct Client {
    agent: Agent,
    base: String,
}

impl Client {
    /// A client of the server at this port.
    pub fn new(port: u16) -> Client {
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        let base = format!("http://127.0.0.1:{port}");
        Client { agent, base }
    }

    /// Sends a GET, and returns the JSON of the answer.
    ///
    /// # Errors
    /// When the server answers with an error, or not with JSON.
    pub fn get(&self, target: &str) -> Result<Value> {
        let answer = self.agent.get(format!("{}{target}", self.base)).call();
        let mut answer = answer.context(target)?;
        let text = answer.body_mut().read_to_vec().context(target)?;
        serde_json::from_slice(&text).context(target)
    }

    /// Sends a POST with JSON, and returns the answer.
    ///
    /// # Errors
    /// When the server answers with an error.
    pub fn post(&self, target: &str, body: &Value) -> Result<Value> {
        let call = self.agent.post(format!("{}{target}", self.base));
        let call = call.header("content-type", "application/json");
        let mut answer = call.send(body.to_string()).context(target)?;
        let text = answer.body_mut().read_to_vec().context(target)?;
        serde_json::from_slice(&text).context(target)
    }

    /// Requests the targets one after another and measures the last `count` of them, with the CPU
    /// time of the process `pid`. The process' memory is not measured.
    ///
    /// # Errors
    /// When an answer is an error.
    pub fn load(&self, pid: u32, targets: &[String], count: usize) -> Result<Load> {
        let (warm, counted) = targets.split_at(targets.len().saturating_sub(count));
        for target in warm {
            self.get(target)?;
        }
        let meter = Meter::start([pid])?;
        let started = Instant::now();
        let mut latencies = Vec::with_capacity(counted.len());
        for target in counted {
            let asked = Instant::now();
            self.get(target)?;
            latencies.push(asked.elapsed());
        }
        let elapsed = started.elapsed();
        let cpu = meter.settled()?;
        Load::new(latencies, elapsed, cpu, Memory::default())
    }
}
