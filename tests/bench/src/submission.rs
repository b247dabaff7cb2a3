//! Tasks for a worker that is run by itself, without the queue's way to it.

use local_stack::{Error, Result};
use serde_json::{Value, json};

use crate::runtime::{Answer, Function};
use crate::stage::Stage;

/// A task that was submitted, and whose message was taken out of the queue.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The task's id.
    pub id: String,
    /// The event that hands its message to the worker.
    pub event: String,
}

impl Stage {
    /// Submits a task by `POST /process/` or `POST /tasks/`.
    ///
    /// # Errors
    /// When it is refused, or its message does not arrive.
    pub fn submit(&mut self, target: &str, body: &Value) -> Result<Submission> {
        self.purge()?;
        let task = self.ask("POST", target, Some(&body.to_string()))?;
        let id = task["task_id"].as_str().unwrap_or_default().to_owned();
        let records = self.receive()?;
        self.delete(&records)?;
        if id.is_empty() || records.len() != 1 {
            let arrived = records.len();
            return Err(Error::new(format!("{arrived} messages of the task {task}")));
        }
        let event = json!({"Records": records}).to_string();
        Ok(Submission { id, event })
    }

    /// Has a worker run a task, and returns its answer and the task's result.
    ///
    /// # Errors
    /// When the task does not complete.
    pub fn run(&mut self, worker: &mut Function, task: &Submission) -> Result<(Answer, Value)> {
        let answer = worker.invoke(task.event.as_bytes())?;
        worker.settle()?;
        let mut result = self.ask("GET", &format!("/result/{}", task.id), None)?;
        if result["status"] != "completed" {
            return Err(Error::new(format!("the task has not completed: {result}")));
        }
        Ok((answer, result["result"].take()))
    }
}
