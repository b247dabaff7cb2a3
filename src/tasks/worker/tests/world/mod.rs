//! The whole engine in one process: submitters and workers that are stopped at any of their calls to
//! AWS, for good or until others have gone on, a queue that delivers twice and out of order, callers
//! who cancel and restart, and a clock that jumps.

mod property;
mod queue;
mod race;

use std::collections::HashMap;

use serde::Deserialize;
use tokio::task::{JoinHandle, spawn_local};

use super::*;
use crate::dynamodb::testing::{Gate, Rows, Side};
use crate::tasks::client::{Accepted, Retrying, SubmitError, Submitter};
use crate::tasks::store::Cancelled;
use crate::tasks::task::Options;
use queue::Queue;

const START: u64 = 1_900_000_000_000;
const DEAD_LETTERS: &str = "http://sqs/dead";
/// How long the job of the world asks to wait before another attempt.
const BACKOFF: Duration = Duration::from_secs(3);
/// Longer than any sequence: what has ended stays to be looked at.
const KEPT: Duration = Duration::from_secs(10_000_000);

/// What the job of the world does, attempt by attempt: `o` for a result, `t` for a transient error,
/// `p` for a permanent one; further attempts give a result.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
struct Script {
    outcomes: String,
    /// Tells submissions apart that share an idempotency key.
    tag: u8,
}

/// An attempt that was begun: its task, its number and its input.
type Begun = Arc<Mutex<Vec<(Uuid, u32, Script)>>>;

struct Scripted(Begun);
impl Job for Scripted {
    const NAME: &'static str = "scripted";
    type Input = Script;
    type Output = Value;
    async fn run(&self, script: Script, context: &TaskContext) -> Result<Value, JobError> {
        let attempt = context.attempt;
        let at = usize::try_from(attempt).unwrap() - 1;
        let outcome = script.outcomes.chars().nth(at);
        self.0
            .lock()
            .unwrap()
            .push((context.id, attempt, script.clone()));
        match outcome {
            // No jitter, so that the same choices lead to the same place.
            Some('t') => Err(JobError::transient("Transient", "again").retry_after(BACKOFF)),
            Some('p') => Err(JobError::permanent("Permanent", "never")),
            _ => Ok(json!({"attempt": attempt, "tag": script.tag})),
        }
    }
}

/// Somebody who talks to AWS and was stopped on the way.
struct Stopped<T> {
    gate: Gate,
    running: JoinHandle<T>,
}

/// A worker's batch: the messages it was given, and what it says of them.
type Batch = (Vec<String>, Vec<String>);

struct World {
    rows: Rows,
    faults: Faults,
    queue: Queue,
    begun: Begun,
    runner: Arc<Runner>,
    workers: Vec<Stopped<Batch>>,
    submitters: Vec<Stopped<Submitted>>,
    retriers: Vec<Stopped<()>>,
    accepted: Vec<Submission>,
    /// Tasks whose cancel was accepted, with the run that it was accepted in.
    cancelled: HashMap<Uuid, u32>,
    /// Every id that was ever used.
    ids: Vec<Uuid>,
}

/// A submission, and what became of it.
type Submitted = (Submission, Result<Accepted, SubmitError>);

/// What was submitted.
#[derive(Debug, Clone)]
struct Submission {
    id: Uuid,
    key: Option<u8>,
    script: Script,
    options: Options,
}

impl World {
    fn new() -> World {
        stopped::set(START);
        let faults = Faults::default();
        World {
            rows: Rows::new(&faults),
            faults,
            queue: Queue::default(),
            begun: Begun::default(),
            runner: Arc::new(Runner::start().unwrap()),
            workers: Vec::new(),
            submitters: Vec::new(),
            retriers: Vec::new(),
            accepted: Vec::new(),
            cancelled: HashMap::new(),
            ids: Vec::new(),
        }
    }

    fn store(&self, gate: &Gate) -> TaskStore {
        TaskStore::new(self.rows.client(gate), testing::TASKS.to_owned(), KEPT)
    }

    fn task_queue(&self, gate: &Gate) -> TaskQueue {
        let url = |name: &str| format!("http://sqs/{name}");
        TaskQueue::new(self.queue.client(gate), url("tasks"), url("high"))
    }

    fn submitter(&self, gate: &Gate) -> Submitter {
        Submitter::new(self.task_queue(gate), self.store(gate), None)
    }

    fn worker(&self, gate: &Gate) -> Worker {
        Worker {
            tasks: self.store(gate),
            queue: self.task_queue(gate),
            dead_letters: DeadLetters::new(self.queue.client(gate), DEAD_LETTERS.to_owned()),
            jobs: Registry::default().with(Scripted(Arc::clone(&self.begun))),
            runner: Arc::clone(&self.runner),
            lease: LEASE,
            name: "worker".to_owned(),
        }
    }

    async fn submit(&mut self, submission: Submission, gate: Gate) {
        let (submitter, task) = self.submission(&submission, &gate);
        let running = spawn_local(async move { (submission, submitter.submit(task).await) });
        if let Some((submission, result)) = meet(&gate, running, &mut self.submitters).await {
            self.submitted(submission, result);
        }
    }

    /// A submitter behind `gate`, and the task of a submission.
    fn submission(&mut self, submission: &Submission, gate: &Gate) -> (Submitter, Task) {
        let input = serde_json::to_string(&submission.script).unwrap();
        let input = RawValue::from_string(input).unwrap();
        let mut task = Task::new(submission.id, Scripted::NAME, input, now_ms())
            .with_options(submission.options.clone());
        task.fingerprint = submission
            .key
            .map(|key| format!("{key}-{}", submission.script.tag));
        self.ids.push(submission.id);
        (self.submitter(gate), task)
    }

    fn submitted(&mut self, submission: Submission, result: Result<Accepted, SubmitError>) {
        match result {
            Ok(_) => self.accepted.push(submission),
            Err(SubmitError::Different) => assert!(submission.key.is_some()),
            Err(error) => panic!("nothing is broken: {error}"),
        }
    }

    /// Gives a batch to a new worker.
    async fn deliver(&mut self, from: usize, count: usize, twice: bool, gate: Gate) {
        let records = self.queue.receive(from, count, twice);
        if records.is_empty() {
            return;
        }
        let running = self.start_work(records, &gate);
        if let Some(batch) = meet(&gate, running, &mut self.workers).await {
            self.delivered(batch);
        }
    }

    fn start_work(&self, records: Vec<Delivery>, gate: &Gate) -> JoinHandle<Batch> {
        let worker = self.worker(gate);
        spawn_local(async move {
            let ids = records.iter().map(|delivery| delivery.id.clone());
            let ids = ids.collect();
            let response = worker.run_batch(records, now_ms() + 300_000).await;
            (ids, response)
        })
    }

    /// As Lambda does: what is not reported is deleted.
    fn delivered(&self, (ids, again): Batch) {
        let deleted = ids.into_iter().filter(|id| !again.contains(id));
        self.queue.delete(deleted);
    }

    async fn cancel(&mut self, id: Uuid) {
        let store = self.store(&Gate::default());
        let run = store.get(id).await.unwrap().map(|record| record.run);
        let cancelled = store.cancel(&Viewer::Everyone, id).await.unwrap();
        self.note_cancel(id, run.unwrap_or(1), cancelled);
    }

    fn note_cancel(&mut self, id: Uuid, run: u32, cancelled: Cancelled) {
        if matches!(cancelled, Cancelled::Now | Cancelled::Requested) {
            self.cancelled.insert(id, run);
        }
    }

    /// As `POST /tasks/{id}/retry` does.
    async fn retry(&mut self, id: Uuid, gate: Gate) {
        let running = self.start_retry(id, &gate);
        meet(&gate, running, &mut self.retriers).await;
    }

    fn start_retry(&self, id: Uuid, gate: &Gate) -> JoinHandle<()> {
        let submitter = self.submitter(gate);
        spawn_local(async move {
            let retrying = submitter.retry(&Viewer::Everyone, id).await.unwrap();
            assert!(!matches!(retrying, Retrying::WithoutInput));
        })
    }

    /// Lets somebody who was stopped go on, or lets him die.
    async fn resume(&mut self, who: usize, dies: bool) {
        let (workers, submitters) = (self.workers.len(), self.submitters.len());
        let all = workers + submitters + self.retriers.len();
        if all == 0 {
            return;
        }
        match who % all {
            at if at < workers => {
                if let Some(batch) = go_on(self.workers.remove(at), dies).await {
                    self.delivered(batch);
                }
            }
            at if at < workers + submitters => {
                let stopped = self.submitters.remove(at - workers);
                if let Some((submission, result)) = go_on(stopped, dies).await {
                    self.submitted(submission, result);
                }
            }
            at => {
                go_on(self.retriers.remove(at - workers - submitters), dies).await;
            }
        }
    }

    /// Nobody is stopped any more, and time passes until the queue is empty.
    async fn drain(&mut self, dies: bool) {
        while !(self.workers.is_empty() && self.submitters.is_empty() && self.retriers.is_empty()) {
            self.resume(0, dies).await;
        }
        for _ in 0..1_000 {
            let Some(next) = self.queue.next_visible() else {
                return;
            };
            stopped::set(next.max(now_ms() + 1));
            self.deliver(0, 10, false, Gate::default()).await;
        }
        panic!("the queue is never empty: {:?}", self.queue);
    }
}

/// Waits until somebody is done, or is stopped at his gate and put with the others.
async fn meet<T>(
    gate: &Gate,
    mut running: JoinHandle<T>,
    stopped: &mut Vec<Stopped<T>>,
) -> Option<T> {
    tokio::select! {
        done = &mut running => Some(done.unwrap()),
        () = gate.stopped() => {
            stopped.push(Stopped { gate: gate.clone(), running });
            None
        }
    }
}

async fn go_on<T>(stopped: Stopped<T>, dies: bool) -> Option<T> {
    if dies {
        stopped.running.abort();
        let _ = stopped.running.await;
        return None;
    }
    stopped.gate.open();
    Some(stopped.running.await.unwrap())
}

/// Runs a world: all who are in it share a thread, and the clock that is the thread's own.
fn on_one_thread<T>(world: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, world)
}
