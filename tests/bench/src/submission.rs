//! Tasks for a worker without an event source mapping.

use local_stack::{Error, Result};
use serde_json::{Value, json};

use crate::runtime::{Answer, Function};
use crate::stage::Stage;

/// A submitted task whose message was taken out of the queue.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The task's id.
    pub id: String,
    /// The worker's event with the task's message.
    pub event: String,
}

impl Stage {
    /// Submits a task by `POST /process/` or `POST /tasks/`.
    ///
    /// # Errors
    /// When the submission is refused, or the message does not arrive.
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

    /// Invokes a worker with a task. Returns the worker's answer and the task's result.
    ///
    /// # Errors
    /// When the task does not complete.
    pub fn run(&mut self, worker: &mut Function, task: &Submission) -> Result<(Answer, Value)> {
        let answer = worker.invoke(task.event.as_bytes())?;
        worker.settle()?;
        let mut result = self.ask("GET", &format!("/result/{}", task.id), None)?;
        if result["status"] != "completed" {
            return Err(Error::new(format!("the task did not complete: {result}")));
        }
        Ok((answer, result["result"].take()))
    }
}
