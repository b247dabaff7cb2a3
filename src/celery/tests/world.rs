//! A world of workers that run Celery's tasks, and die at any of their calls to AWS.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::remote::{PREFIX, RemoteStep, SEALED, sealed};
use crate::celery::builtins::with_builtins;
use crate::celery::canvas::{Sender, apply};
use crate::celery::ends::Ends;
use crate::celery::format::CeleryFormat;
use crate::celery::outbox::Outbox;
use crate::celery::remote::{Accept, RemoteBodies};
use crate::celery::result::Stored;
use crate::celery::store::ResultStore;
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::{CELERY_RESULTS, Faults, Gate, Rows, TASKS};
use crate::json::Json;
use crate::tasks::context::TaskContext;
use crate::tasks::job::{Job, JobError};
use crate::tasks::metrics::Counter;
use crate::tasks::queue::{DeadLetters, TaskQueue};
use crate::tasks::registry::Registry;
use crate::tasks::retry::RetryPolicy;
use crate::tasks::store::TaskStore;
use crate::tasks::worker::testing::{Batch, DEAD_LETTERS, Queue, start_batch};
use crate::tasks::worker::{Delivery, Runner, Worker};

const START: u64 = 1_900_000_000_000;
const LEASE: Duration = Duration::from_secs(60);
/// Longer than any sequence, so that all rows are still there at the end.
pub const RETENTION: Duration = Duration::from_secs(10_000_000);

/// The arguments of the job: the value from the task before, the name of the step, and what happens, attempt
/// by attempt: `t` for a transient error, and `p` for a permanent error of this and all further attempts. Other attempts give a
/// result.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
pub struct Input {
    pub before: Value,
    pub name: String,
    pub outcomes: String,
}

/// The result of a step: other for each name and each value before.
pub fn result_of(name: &str, before: &Value) -> Value {
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::nil(), format!("{name}/{before}").as_bytes());
    (hash.as_u128() as u32).into()
}

pub struct Step;
impl Job for Step {
    const NAME: &'static str = "step";
    type Input = Input;
    type Output = Value;
    fn retry_policy(&self) -> RetryPolicy {
        // More than a sequence kills workers.
        RetryPolicy {
            max_retries: 1_000,
            ..RetryPolicy::default()
        }
    }
    async fn run(&self, input: Input, context: &TaskContext) -> Result<Value, JobError> {
        let at = usize::try_from(context.attempt).unwrap() - 1;
        let outcomes = &input.outcomes;
        match outcomes.chars().nth(at).or(outcomes.chars().last()) {
            Some('t') if at < outcomes.len() => {
                Err(JobError::transient("Transient", "again").retry_after(Duration::from_secs(3)))
            }
            Some('p') => Err(JobError::permanent("ValueError", "never")),
            _ => Ok(result_of(&input.name, &input.before)),
        }
    }
}

/// Stands for the tasks of the recorded messages: gives its arguments.
#[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Arguments {
    x: Value,
    y: Value,
    z: Value,
}

struct Echo;
impl Job for Echo {
    const NAME: &'static str = "tasks.add";
    const ALIASES: &'static [&'static str] = &["tasks.echo", "tasks.none", "tasks.xsum"];
    type Input = Arguments;
    type Output = Value;
    async fn run(&self, input: Arguments, _: &TaskContext) -> Result<Value, JobError> {
        Ok(serde_json::json!([input.x, input.y, input.z]))
    }
}

fn bodies() -> RemoteBodies {
    let accept = Accept::new(SEALED).unwrap();
    RemoteBodies::new(|task| task.starts_with(PREFIX), accept)
}

/// A worker that is stopped at a call to AWS.
struct Stopped {
    gate: Gate,
    running: JoinHandle<Batch>,
}

pub struct World {
    pub rows: Rows,
    pub faults: Faults,
    pub queue: Queue,
    pub extended: bool,
    runner: Arc<Runner>,
    workers: Vec<Stopped>,
}

impl World {
    pub fn new() -> World {
        stopped::set(START);
        let faults = Faults::default();
        World {
            rows: Rows::new(&faults),
            faults,
            queue: Queue::default(),
            extended: false,
            runner: Arc::new(Runner::start().unwrap()),
            workers: Vec::new(),
        }
    }

    pub fn tasks(&self, gate: &Gate) -> TaskStore {
        TaskStore::new(self.rows.client(gate), TASKS.to_owned(), RETENTION)
    }

    pub fn results(&self, gate: &Gate) -> ResultStore {
        ResultStore::new(self.rows.client(gate), CELERY_RESULTS.to_owned(), RETENTION)
    }

    pub fn ends(&self, gate: &Gate) -> Ends {
        let queues = "celery=http://sqs/celery,fifo=http://sqs/orders.fifo";
        Ends {
            results: self.results(gate),
            outbox: Outbox::new(self.queue.client(gate), queues, "").unwrap(),
            extended: self.extended,
        }
    }

    pub fn worker(&self, gate: &Gate) -> Worker {
        let sqs = self.queue.client(gate);
        Worker {
            tasks: self.tasks(gate),
            queue: self.task_queue(gate),
            dead_letters: DeadLetters::new(sqs, DEAD_LETTERS.to_owned()),
            jobs: self.jobs(gate),
            runner: Arc::clone(&self.runner),
            lease: LEASE,
            counter: Counter::new(self.tasks(gate).counts()),
            name: "worker".to_owned(),
            formats: vec![Arc::new(self.format(gate))],
            delays: None,
        }
    }

    /// The queue of the service's own messages.
    pub fn task_queue(&self, gate: &Gate) -> TaskQueue {
        let url = |name: &str| format!("http://sqs/{name}");
        TaskQueue::new(self.queue.client(gate), url("tasks"), url("high"))
    }

    fn jobs(&self, gate: &Gate) -> Registry {
        let remote = RemoteStep {
            ends: self.ends(gate),
            bodies: bodies(),
        };
        let jobs = Registry::default().with(Step).with(Echo);
        with_builtins(jobs.with_any("remote.step", Arc::new(remote)))
    }

    fn format(&self, gate: &Gate) -> CeleryFormat {
        CeleryFormat::new(self.ends(gate), true).with_remote(bodies())
    }

    /// Sends a workflow, as a client does.
    pub async fn submit(&self, signature: Json) {
        let sender = Sender {
            id: "client",
            root_id: None,
            seed: "client",
            now: now_ms(),
            default_queue: "celery",
            origin: "client",
        };
        let mut sent = apply(&sender, signature, &[]).unwrap();
        for message in &mut sent.messages {
            message.body = sealed(&message.body);
        }
        let ends = self.ends(&Gate::default());
        for chord in &sent.chords {
            ends.results.begin_chord(chord).await.unwrap();
        }
        ends.outbox.send(&sent.messages).await.unwrap();
    }

    /// Gives a batch to a new worker.
    pub async fn deliver(&mut self, from: usize, count: usize, twice: bool, gate: Gate) {
        let records = self.queue.receive(from, count, twice);
        if records.is_empty() {
            return;
        }
        let mut running = self.start_work(records, &gate);
        tokio::select! {
            batch = &mut running => self.queue.delivered(batch.unwrap()),
            () = gate.stopped() => self.workers.push(Stopped { gate, running }),
        }
    }

    fn start_work(&self, records: Vec<Delivery>, gate: &Gate) -> JoinHandle<Batch> {
        start_batch(self.worker(gate), records)
    }

    /// Resumes a stopped worker, or ends it if `dies` is set.
    pub async fn resume(&mut self, who: usize, dies: bool) {
        let Some(at) = who.checked_rem(self.workers.len()) else {
            return;
        };
        let stopped = self.workers.remove(at);
        if dies {
            stopped.running.abort();
            let _ = stopped.running.await;
        } else {
            stopped.gate.open();
            self.queue.delivered(stopped.running.await.unwrap());
        }
    }

    /// Resumes or ends all workers, then advances the clock until the queue is empty.
    pub async fn drain(&mut self, dies: bool) {
        while !self.workers.is_empty() {
            self.resume(0, dies).await;
        }
        for _ in 0..2_000 {
            let Some(next) = self.queue.next_visible() else {
                return;
            };
            stopped::set(next.max(now_ms() + 1));
            self.deliver(0, 10, false, Gate::default()).await;
        }
        panic!("the queue does not become empty: {:?}", self.queue);
    }

    /// The result of a task.
    pub async fn result(&self, id: &str) -> Option<Stored> {
        let results = self.results(&Gate::default());
        results.results(&[id.to_owned()]).await.unwrap().remove(0)
    }
}

/// Runs a world on one thread, because the stopped clock belongs to a thread.
pub fn on_one_thread<T>(world: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, world)
}
