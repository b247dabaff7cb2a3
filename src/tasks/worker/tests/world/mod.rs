//! The whole engine in one process: a queue that delivers twice and out of order, callers who cancel
//! and restart, and a clock that jumps. Submitters and workers are actors that stop at any of their
//! calls to AWS, and die there or go on later.

mod effects;
mod foreign;
mod property;
mod race;
mod remote;

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use tokio::task::{JoinHandle, spawn_local};

use super::*;
use crate::dynamodb::testing::{Gate, Rows, Side};
use crate::tasks::client::{
    Accepted, CancelOutcome, Canceller, RetryOutcome, SubmitError, Submitter,
};
use crate::tasks::task::Options;
use crate::tasks::worker::testing::{Batch, DEAD_LETTERS, Queue, start_batch};
use foreign::Performed;
use remote::{Remote, Waited};

const START: u64 = 1_900_000_000_000;
/// The delay that the job of the world sets before another attempt.
const BACKOFF: Duration = Duration::from_secs(3);
/// Longer than any sequence, so that all records are still there at the end.
const RETENTION: Duration = Duration::from_secs(10_000_000);

/// The outcomes of the job of the world, attempt by attempt: `o` for a result, `t` for a transient
/// error, `p` for a permanent error. Further attempts give a result.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize, utoipa::ToSchema)]
struct Script {
    outcomes: String,
    /// Distinguishes submissions that share an idempotency key.
    tag: u8,
}

/// The begun attempts: task, number and input of each.
type Begun = Arc<Mutex<Vec<(TaskId, u32, Script)>>>;

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
            .push((context.id.clone(), attempt, script.clone()));
        match outcome {
            // No jitter, so that a race is deterministic.
            Some('t') => Err(JobError::transient("Transient", "again").retry_after(BACKOFF)),
            Some('p') => Err(JobError::permanent("Permanent", "never")),
            _ => Ok(json!({"attempt": attempt, "tag": script.tag})),
        }
    }
}

/// An actor that is stopped at a call to AWS.
struct Stopped<T> {
    gate: Gate,
    running: JoinHandle<T>,
}

struct World {
    rows: Rows,
    faults: Faults,
    queue: Queue,
    begun: Begun,
    /// The attempts that have waited as if they had not begun.
    waited: Waited,
    runner: Arc<Runner>,
    workers: Vec<Stopped<Batch>>,
    submitters: Vec<Stopped<Submitted>>,
    retriers: Vec<Stopped<()>>,
    cancellers: Vec<Stopped<CancelOutcome>>,
    accepted: Vec<Submission>,
    /// Tasks whose cancellation was accepted, with the run of the cancellation.
    cancelled: HashMap<TaskId, u32>,
    /// Tasks whose cancellation was tried.
    cancelling: HashSet<TaskId>,
    /// The effects of the tasks of another format.
    performed: Performed,
    /// The ids of all submissions.
    ids: Vec<TaskId>,
    /// The most ends that may not be counted: those of workers and cancellers that were stopped, which may have
    /// died, or whose tasks others may have ended.
    uncounted: u64,
}

/// A submission and its outcome.
type Submitted = (Submission, Result<Accepted, SubmitError>);

/// The content of a submission.
#[derive(Debug, Clone)]
struct Submission {
    id: TaskId,
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
            waited: Waited::default(),
            runner: Arc::new(Runner::start().unwrap()),
            workers: Vec::new(),
            submitters: Vec::new(),
            retriers: Vec::new(),
            cancellers: Vec::new(),
            accepted: Vec::new(),
            cancelled: HashMap::new(),
            cancelling: HashSet::new(),
            performed: Performed::default(),
            ids: Vec::new(),
            uncounted: 0,
        }
    }

    fn store(&self, gate: &Gate) -> TaskStore {
        TaskStore::new(self.rows.client(gate), testing::TASKS.to_owned(), RETENTION)
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
            jobs: self.jobs(),
            runner: Arc::clone(&self.runner),
            lease: LEASE,
            counter: Counter::new(self.store(gate).counts()),
            name: "worker".to_owned(),
            formats: self.formats(gate),
            delays: None,
        }
    }

    fn jobs(&self) -> Registry {
        let remote = Remote {
            begun: Arc::clone(&self.begun),
            waited: Arc::clone(&self.waited),
        };
        let jobs = Registry::default().with(Scripted(Arc::clone(&self.begun)));
        jobs.with_pattern(remote::NAME, Arc::new(remote))
    }

    async fn submit(&mut self, submission: Submission, gate: Gate) {
        let (submitter, task) = self.submission(&submission, &gate);
        let running = spawn_local(async move { (submission, submitter.submit(task).await) });
        if let Some((submission, result)) = run_or_stop(&gate, running, &mut self.submitters).await
        {
            self.submitted(submission, result);
        }
    }

    /// A submitter behind `gate`, and the task of a submission.
    fn submission(&mut self, submission: &Submission, gate: &Gate) -> (Submitter, Task) {
        let input = serde_json::to_string(&submission.script).unwrap();
        let input = RawValue::from_string(input).unwrap();
        let mut task = Task::new(submission.id.clone(), Scripted::NAME, input, now_ms())
            .with_options(submission.options.clone());
        task.fingerprint = submission
            .key
            .map(|key| format!("{key}-{}", submission.script.tag));
        self.ids.push(submission.id.clone());
        (self.submitter(gate), task)
    }

    fn submitted(&mut self, submission: Submission, result: Result<Accepted, SubmitError>) {
        match result {
            Ok(_) => self.accepted.push(submission),
            Err(SubmitError::Different) => assert!(submission.key.is_some()),
            Err(error) => panic!("no fault was injected: {error}"),
        }
    }

    /// Gives a batch to a new worker.
    async fn deliver(&mut self, from: usize, count: usize, twice: bool, gate: Gate) {
        let records = self.queue.receive(from, count, twice);
        if records.is_empty() {
            return;
        }
        let messages = records.len() as u64;
        let running = self.start_work(records, &gate);
        match run_or_stop(&gate, running, &mut self.workers).await {
            Some(batch) => self.queue.delivered(batch),
            None => self.uncounted += messages,
        }
    }

    fn start_work(&self, records: Vec<Delivery>, gate: &Gate) -> JoinHandle<Batch> {
        start_batch(self.worker(gate), records)
    }

    /// As `DELETE /tasks/{id}` does, or as a revocation.
    async fn cancel(&mut self, id: &TaskId, revokes: bool, gate: Gate) {
        let running = self.start_cancel(id, revokes, &gate);
        match run_or_stop(&gate, running, &mut self.cancellers).await {
            Some(outcome) => self.note_cancel(&outcome),
            None => self.uncounted += 1,
        }
    }

    fn start_cancel(
        &mut self,
        id: &TaskId,
        revokes: bool,
        gate: &Gate,
    ) -> JoinHandle<CancelOutcome> {
        self.cancelling.insert(id.clone());
        let canceller = Canceller::new(self.store(gate), None, self.task_queue(gate));
        let id = id.clone();
        spawn_local(async move {
            let cancelled = match revokes {
                true => canceller.revoke(&id).await,
                false => canceller.cancel(&Viewer::Everyone, &id).await,
            };
            cancelled.unwrap()
        })
    }

    /// Notes an accepted cancellation. A canceller that was stopped may answer with a later run.
    fn note_cancel(&mut self, outcome: &CancelOutcome) {
        if let CancelOutcome::Done(record) | CancelOutcome::Requested(record) = outcome {
            self.cancelled.insert(record.id.clone(), record.run);
        }
    }

    /// As `POST /tasks/{id}/retry` does.
    async fn retry(&mut self, id: &TaskId, gate: Gate) {
        let running = self.start_retry(id, &gate);
        run_or_stop(&gate, running, &mut self.retriers).await;
    }

    fn start_retry(&self, id: &TaskId, gate: &Gate) -> JoinHandle<()> {
        let was_revoked = self.cancelling.contains(id);
        let (submitter, id) = (self.submitter(gate), id.clone());
        spawn_local(async move {
            let retrying = submitter.retry(&Viewer::Everyone, &id).await.unwrap();
            // Only a revocation creates a record without an input.
            let is_lost = matches!(retrying, RetryOutcome::WithoutInput);
            assert!(!is_lost || was_revoked);
        })
    }

    /// Resumes a stopped actor, or ends it if `dies` is set.
    async fn resume(&mut self, who: usize, dies: bool) {
        let (workers, submitters) = (self.workers.len(), self.submitters.len());
        let retriers = self.retriers.len();
        let all = workers + submitters + retriers + self.cancellers.len();
        if all == 0 {
            return;
        }
        match who % all {
            at if at < workers => {
                if let Some(batch) = resume_or_kill(self.workers.remove(at), dies).await {
                    self.queue.delivered(batch);
                }
            }
            at if at < workers + submitters => {
                let stopped = self.submitters.remove(at - workers);
                if let Some((submission, result)) = resume_or_kill(stopped, dies).await {
                    self.submitted(submission, result);
                }
            }
            at if at < workers + submitters + retriers => {
                resume_or_kill(self.retriers.remove(at - workers - submitters), dies).await;
            }
            at => {
                let at = at - workers - submitters - retriers;
                resume_or_kill(self.cancellers.remove(at), dies).await;
            }
        }
    }

    /// Resumes or ends all actors, then advances the clock until the queue is empty.
    async fn drain(&mut self, dies: bool) {
        let is_done = |world: &World| {
            let clients = world.retriers.len() + world.cancellers.len();
            world.workers.is_empty() && world.submitters.is_empty() && clients == 0
        };
        while !is_done(self) {
            self.resume(0, dies).await;
        }
        for _ in 0..1_000 {
            let Some(next) = self.queue.next_visible() else {
                return;
            };
            stopped::set(next.max(now_ms() + 1));
            self.deliver(0, 10, false, Gate::default()).await;
        }
        panic!("the queue does not become empty: {:?}", self.queue);
    }
}

/// Runs an actor until it is done, or stops at its gate and joins the other stopped actors.
async fn run_or_stop<T>(
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

async fn resume_or_kill<T>(stopped: Stopped<T>, dies: bool) -> Option<T> {
    if dies {
        stopped.running.abort();
        let _ = stopped.running.await;
        return None;
    }
    stopped.gate.open();
    Some(stopped.running.await.unwrap())
}

/// Runs a world on one thread, because the stopped clock belongs to a thread.
fn on_one_thread<T>(world: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, world)
}
