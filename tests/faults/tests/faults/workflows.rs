//! Workflows of Celery: chains and chords, sent by a real client of Celery (`producer.py`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_stack::celery_client::{self, Broker};
use local_stack::{Context, Error, Result, functions, project};
use serde::Deserialize;
use serde_json::Value;

use crate::call::MOVED;
use crate::service::Service;

/// The errors of a task whose every attempt lost its worker, its function, or the way to the function.
const LOST: [&str; 4] = [
    "WorkerLost",
    "FunctionCrashed",
    "InvocationFailed",
    "OutOfTime",
];

/// What the AWS endpoints say of a process that was killed while it started.
const KILLED: &str = "Worker process exited";

/// The number of unfinished tasks at which the client pauses, and the longest pause.
const OPEN_TASKS: usize = 60;
const PATIENCE: Duration = Duration::from_secs(240);

/// A workflow that the client sent.
#[derive(Debug, Deserialize)]
pub struct Workflow {
    /// Its tasks, in the order in which they may run. The last task gives the workflow's result.
    pub ids: Vec<String>,
    /// The result if no worker was lost too often.
    value: Value,
}

/// A client of Celery; dropping it ends its process.
struct Client {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    fn start(service: &Service, seed: u64) -> Result<Client> {
        let program = project::root().join("tests/faults/producer.py");
        let broker = Broker::sqs(&service.aws_endpoint());
        let mut command = celery_client::client(&functions::build_runner()?, &program, &broker)?;
        command.arg(seed.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("Celery's client")?;
        let (orders, answers) = (child.stdin.take(), child.stdout.take());
        let (Some(orders), Some(answers)) = (orders, answers) else {
            return Err(Error::new("Celery's client has no pipes"));
        };
        Ok(Client {
            child,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// Sends the workflow of this number.
    fn send(&mut self, number: usize) -> Result<Workflow> {
        let mut answer = String::new();
        let asked = writeln!(self.orders, "{number}");
        let read = asked.and_then(|()| self.answers.read_line(&mut answer));
        read.context("Celery's client has ended")?;
        serde_json::from_str(&answer).context("Celery's client has ended: its messages are above")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends workflows that have at least `tasks` tasks in all.
pub fn send(service: &Service, seed: u64, tasks: usize) -> Vec<Workflow> {
    let mut client = Client::start(service, seed).expect("a client of Celery");
    let (mut sent, mut count): (Vec<Workflow>, usize) = (Vec::new(), 0);
    while count < tasks {
        let has_room = service.eventually(PATIENCE, || {
            let ids = sent.iter().flat_map(|workflow| &workflow.ids);
            count - service.observer().ended(ids) < OPEN_TASKS
        });
        assert!(
            has_room,
            "{count} tasks of Celery were sent, and do not end"
        );
        let workflow = client.send(sent.len()).expect("a workflow");
        count += workflow.ids.len();
        sent.push(workflow);
    }
    sent
}

/// A key of Celery's table of results.
fn key(id: &str) -> String {
    format!("b'celery-task-meta-{id}'")
}

/// The broken rules of workflows whose tasks have these records.
pub fn faults_of(
    service: &Service,
    workflows: &[Workflow],
    records: &HashMap<&str, &Value>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut completed = 0;
    for workflow in workflows {
        let lost = workflow.ids.iter().any(|id| {
            let record = records.get(id.as_str());
            let text = |name: &str| record.and_then(|record| record["error"][name].as_str());
            let is_lost = text("type").is_some_and(|kind| LOST.contains(&kind));
            is_lost || text("message").is_some_and(|message| message.starts_with(KILLED))
        });
        for (at, id) in workflow.ids.iter().enumerate() {
            let stored = stored(service, id);
            let record = records.get(id.as_str());
            let state = record.map(|record| &record["state"]);
            let status = stored["status"].as_str().unwrap_or("no result");
            let is_last = at + 1 == workflow.ids.len();
            // A client restarts no task of a workflow, so one run is one body, but for a replaced task.
            let endings = service.observer().endings(id);
            let moved = endings.iter().filter(|state| *state == MOVED).count() as u64;
            let ran_again = record.is_some_and(|record| record["run"] != moved + 1);
            let moved_twice = moved > 1;
            let right = match status {
                "SUCCESS" if is_last => stored["result"] == workflow.value && !lost,
                "SUCCESS" => state.is_some_and(|state| state == "completed"),
                "FAILURE" => lost,
                _ => false,
            };
            completed += usize::from(status == "SUCCESS" && is_last);
            if !right || ran_again || moved_twice {
                let workflow = format!("{workflow:?}, a worker was lost: {lost}");
                wrong.push(format!(
                    "task {id} is {state:?} and has the result {stored}: {workflow}\n{}",
                    service.last_lines_with(id, 20)
                ));
            }
        }
    }
    let tasks: usize = workflows.iter().map(|workflow| workflow.ids.len()).sum();
    println!(
        "{completed} of {} workflows of Celery, with {tasks} tasks, gave their value\n",
        workflows.len()
    );
    wrong
}

/// The JSON of a task's result; null if there is none.
fn stored(service: &Service, id: &str) -> Value {
    let row = service.celery_row(&key(id));
    let bytes = row["result"]["B"]
        .as_str()
        .map(|text| STANDARD.decode(text));
    let bytes = bytes.map(|bytes| bytes.expect("base64"));
    bytes.map_or(Value::Null, |bytes| {
        serde_json::from_slice(&bytes).expect("JSON")
    })
}
