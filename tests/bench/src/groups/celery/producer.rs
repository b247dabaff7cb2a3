//! A Celery producer: a process that obeys one line after another.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use local_stack::{Context, Error, Result};
use serde_json::{Value, json};

/// A running producer; dropping it ends the process.
pub struct Producer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Producer {
    /// Starts the program, and lets it send a task and wait for the result, so that it has
    /// connections to everything.
    ///
    /// # Errors
    /// When the program does not start, or there is no result.
    pub fn start(mut command: Command) -> Result<Producer> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a producer")?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let (Some(orders), Some(answers)) = (orders, answers) else {
            return Err(Error::new("a producer without pipes"));
        };
        let mut producer = Producer {
            child,
            orders,
            answers: BufReader::new(answers),
        };
        producer.get(1, None)?;
        Ok(producer)
    }

    /// Sends tasks one after the other, without waiting for results. Returns their ids.
    ///
    /// # Errors
    /// When the producer has ended.
    pub fn send(&mut self, count: usize) -> Result<Vec<String>> {
        let ids = self.obey(&json!({"do": "send", "count": count}))?;
        serde_json::from_value(ids).context("a producer's ids")
    }

    /// The seconds of `delay().get(interval=…)`, again and again; `None` for Celery's own interval.
    ///
    /// # Errors
    /// When the producer has ended, or a result is missing.
    pub fn get(&mut self, count: usize, interval: Option<f64>) -> Result<Vec<f64>> {
        let mut order = json!({"do": "get", "count": count});
        if let Some(interval) = interval {
            order["interval"] = json!(interval);
        }
        let times = self.obey(&order)?;
        serde_json::from_value(times).context("a producer's times")
    }

    /// Sends a workflow and waits for its result, if it has one.
    ///
    /// # Errors
    /// When the producer has ended, or the result is missing.
    pub fn run(&mut self, workflow: &str) -> Result<()> {
        self.obey(&json!({"do": "run", "workflow": workflow}))
            .map(drop)
    }

    fn obey(&mut self, order: &Value) -> Result<Value> {
        let sent = writeln!(self.orders, "{order}");
        sent.context("a producer has ended")?;
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer);
        read.context("a producer has ended")?;
        serde_json::from_str(&answer)
            .context("a producer has ended: its messages are on the terminal")
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
