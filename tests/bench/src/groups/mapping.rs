//! The event source mapping of a queue: workers that get batches of messages as from Lambda.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use local_stack::process::{interrupted, pause};
use local_stack::{Error, Result};

use crate::queue::{Queue, event, is_done};
use crate::runtime::Function;
use crate::stage::Stage;

/// The longest wait until all messages are done.
const PATIENCE: Duration = Duration::from_secs(120);

/// The workers of a queue; dropping it ends them.
pub struct Mapping {
    feed: Arc<Feed>,
    feeders: Vec<JoinHandle<()>>,
    workers: Vec<u32>,
}

/// The work of the event source mapping so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fed {
    /// Invocations of the worker.
    pub batches: u64,
    /// Messages in all batches.
    pub messages: u64,
    /// The time of the calls that received these messages.
    pub receiving: Duration,
}

/// The part of the mapping that its threads share.
pub struct Feed {
    queue: Queue,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of sent messages minus the number of received ones.
    waiting: i64,
    /// The number of sent messages minus the number of those that a worker has done.
    open: i64,
    held: bool,
    stopped: bool,
    fed: Fed,
    failure: Option<Error>,
}

impl Mapping {
    /// Starts workers for this queue.
    ///
    /// # Errors
    /// When a worker does not start.
    pub fn start(stage: &Stage, queue: Queue, workers: usize) -> Result<Mapping> {
        Mapping::start_with(stage, queue, workers, &[])
    }

    /// As [`Mapping::start`], with these variables besides those of the local stack.
    ///
    /// # Errors
    /// When a worker does not start.
    pub fn start_with(
        stage: &Stage,
        queue: Queue,
        workers: usize,
        variables: &[(String, String)],
    ) -> Result<Mapping> {
        let mut program = stage.program("worker")?;
        program.environment.extend_from_slice(variables);
        let feed = Feed {
            queue,
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let mut mapping = Mapping {
            feed: Arc::new(feed),
            feeders: Vec::new(),
            workers: Vec::new(),
        };
        for _ in 0..workers {
            let (worker, _) = Function::start(&program)?;
            mapping.workers.push(worker.pid());
            let feed = Arc::clone(&mapping.feed);
            let feeder = std::thread::spawn(move || feed.feed(worker));
            mapping.feeders.push(feeder);
        }
        Ok(mapping)
    }

    /// A handle for whoever sees messages sent; it keeps nothing running.
    #[must_use]
    pub fn feed(&self) -> Weak<Feed> {
        Arc::downgrade(&self.feed)
    }

    /// The processes that run tasks.
    #[must_use]
    pub fn workers(&self) -> &[u32] {
        &self.workers
    }

    /// The work that the workers have received.
    #[must_use]
    pub fn fed(&self) -> Fed {
        self.feed.state().fed
    }

    /// Holds messages back, or lets them go again.
    pub fn hold(&self, held: bool) {
        self.feed.state().held = held;
        self.feed.changed.notify_all();
    }

    /// Fails if a worker has failed since the last call.
    ///
    /// # Errors
    /// When a worker has failed.
    pub fn check(&self) -> Result<()> {
        self.feed.state().failure.take().map_or(Ok(()), Err)
    }

    /// Waits until the workers have done every message that was sent.
    ///
    /// # Errors
    /// When a worker has failed, or the wait takes too long.
    pub fn settle(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.feed.state().open > 0 {
            self.check()?;
            if Instant::now() > until {
                return Err(Error::new("messages are left in the queue"));
            }
            pause()?;
        }
        self.check()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.feed.state().stopped = true;
        self.feed.changed.notify_all();
        for feeder in self.feeders.drain(..) {
            let _ = feeder.join();
        }
    }
}

impl Feed {
    /// Tells the mapping of messages that were sent.
    pub fn sent(&self, count: i64) {
        let mut state = self.state();
        state.waiting += count;
        state.open += count;
        drop(state);
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a worker one batch after another until the mapping stops.
    fn feed(&self, mut worker: Function) {
        while self.wait() && !interrupted() {
            if let Err(error) = self.batch(&mut worker) {
                self.state().failure = Some(error);
            }
        }
    }

    /// Waits for messages. SQS answers a long poll as soon as a message arrives. ministack checks
    /// an empty queue only every 100 ms, so this function polls only after a message was sent.
    fn wait(&self) -> bool {
        let mut state = self.state();
        while (state.waiting <= 0 || state.held) && !state.stopped {
            let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.stopped
    }

    fn batch(&self, worker: &mut Function) -> Result<()> {
        let started = Instant::now();
        let records = self.queue.receive(Duration::ZERO)?;
        let receiving = started.elapsed();
        let count = i64::try_from(records.len()).unwrap_or_default();
        self.state().waiting -= count;
        if count == 0 {
            return Ok(());
        }
        let answer = worker.invoke(event(&records).as_bytes())?.body;
        if !is_done(&answer) {
            let text = String::from_utf8_lossy(&answer);
            return Err(Error::new(format!("the worker failed: {text}")));
        }
        self.queue.delete(&records)?;
        let mut state = self.state();
        state.open -= count;
        state.fed.batches += 1;
        state.fed.messages += records.len() as u64;
        state.fed.receiving += receiving;
        Ok(())
    }
}
