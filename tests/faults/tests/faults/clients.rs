//! Clients that submit, cancel and restart tasks, and record the answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::order::{self, Kind, Order};
use crate::service::{Answer, Service};

/// The number of clients.
const CLIENTS: usize = 16;

/// How often a client repeats a request without a clear answer, and the pause between two tries.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(300);

/// The longest time until a task reaches the point at which a client cancels or restarts it.
const PATIENCE: Duration = Duration::from_secs(240);

/// The number of open tasks at which clients pause, and the interval of the check. Without this
/// limit clients would submit faster than the workers run tasks, and no task would run when it is
/// cancelled.
const OPEN_TASKS: usize = 80;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An accepted task.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub id: String,
    pub order: Order,
    accepted_at: Instant,
    /// The last clear answer to the task's cancellation.
    pub cancelled: Option<Cancelled>,
    /// The number of restart requests, and the number of 202 answers to them.
    pub restarts_requested: u32,
    pub restarts_accepted: u32,
}

/// The answer to a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// 200: the task is cancelled.
    Done,
    /// 202: the task's worker will stop.
    Requested,
    /// 409: the task had ended in this state.
    Ended(String),
}

/// A later action on a task.
struct Later {
    due: Instant,
    /// The task's index in the list.
    at: usize,
}

/// All clients and their shared state.
pub struct Clients<'a> {
    service: &'a Service,
    seed: u64,
    count: u64,
    next: AtomicU64,
    /// Whether the limit of open tasks is reached.
    full: AtomicBool,
    later: Mutex<VecDeque<Later>>,
    /// The number of later actions that are pending or in progress.
    open: AtomicUsize,
    accepted: Mutex<Vec<Accepted>>,
    refused: Mutex<BTreeMap<u16, u64>>,
    violations: Mutex<Vec<String>>,
}

/// The results of all submissions.
pub struct Submitted {
    pub accepted: Vec<Accepted>,
    /// The number of submissions that were not accepted, by status; 0 for no answer.
    pub refused: BTreeMap<u16, u64>,
    pub violations: Vec<String>,
}

impl<'a> Clients<'a> {
    pub fn new(service: &'a Service, seed: u64, count: u64) -> Clients<'a> {
        Clients {
            service,
            seed,
            count,
            next: AtomicU64::new(0),
            full: AtomicBool::new(false),
            later: Mutex::default(),
            open: AtomicUsize::new(0),
            accepted: Mutex::default(),
            refused: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    /// Submits all tasks, and performs all later actions.
    pub fn run(self) -> Submitted {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(|| self.client()))
                .collect();
            while clients.iter().any(|client| !client.is_finished()) {
                thread::sleep(LOOK_EVERY);
                self.full
                    .store(self.open_tasks() >= OPEN_TASKS, Ordering::SeqCst);
            }
        });
        Submitted {
            accepted: into_inner(self.accepted),
            refused: into_inner(self.refused),
            violations: into_inner(self.violations),
        }
    }

    /// The number of accepted tasks that have not ended yet.
    fn open_tasks(&self) -> usize {
        let accepted = lock(&self.accepted);
        let ids = accepted.iter().map(|task| &task.id);
        accepted.len() - self.service.observer().ended(ids)
    }

    fn client(&self) {
        loop {
            if let Some(at) = self.due() {
                self.follow_up(at);
                self.open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            if self.full.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            if number < self.count {
                self.submit(number);
            } else if self.open.load(Ordering::SeqCst) > 0 {
                thread::sleep(Duration::from_millis(50));
            } else {
                return;
            }
        }
    }

    fn submit(&self, number: u64) {
        let order = Order::new(self.service, self.seed, number);
        let id = match &order.key {
            None => self.try_submit(&order),
            Some(key) => {
                let (one, other) = thread::scope(|scope| {
                    let other = scope.spawn(|| self.insist(&order));
                    let one = self.insist(&order);
                    (one, other.join().ok().flatten())
                });
                if one.is_none() || one != other {
                    self.violated(format!(
                        "the idempotency key {key} has the tasks {one:?} and {other:?}"
                    ));
                }
                one
            }
        };
        let Some(id) = id else { return };
        let wait = order::follow_up(order.kind);
        let at = {
            let mut accepted = lock(&self.accepted);
            accepted.push(Accepted {
                id,
                order,
                accepted_at: Instant::now(),
                cancelled: None,
                restarts_requested: 0,
                restarts_accepted: 0,
            });
            accepted.len() - 1
        };
        if let Some(wait) = wait {
            self.put_off(at, wait);
        }
    }

    /// Repeats a submission with an idempotency key until it is accepted.
    fn insist(&self, order: &Order) -> Option<String> {
        (0..TRIES).find_map(|_| {
            let id = self.try_submit(order);
            if id.is_none() {
                thread::sleep(PAUSE);
            }
            id
        })
    }

    /// Submits once. Returns the task's id if the submission is accepted.
    fn try_submit(&self, order: &Order) -> Option<String> {
        let body = order.body.to_string();
        let answer = self
            .service
            .ask("POST", "/tasks/", order.key.as_deref(), &body);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        match answer {
            Some(answer) if status == 202 => {
                let id = answer.json["task_id"].as_str();
                return id.map(str::to_owned);
            }
            Some(answer) if status < 500 => {
                self.violated(format!("the answer to a submission was {answer:?}"));
            }
            _ => *lock(&self.refused).entry(status).or_default() += 1,
        }
        None
    }

    fn follow_up(&self, at: usize) {
        let task = lock(&self.accepted).get(at).cloned();
        let Some(task) = task else { return };
        if task.accepted_at.elapsed() > PATIENCE {
            let what = task.order.kind.name();
            return self.violated(format!("task {} ({what}) takes too long", task.id));
        }
        match task.order.kind {
            Kind::Cancelled { .. } | Kind::Scheduled { .. } => self.cancel(at, &task),
            Kind::Missing { restarts } => self.restart(at, &task, restarts),
            _ => {}
        }
    }

    /// Cancels a task; repeats the request until there is a clear answer.
    fn cancel(&self, at: usize, task: &Accepted) {
        let answer = self
            .service
            .ask("DELETE", &format!("/tasks/{}", task.id), None, "");
        let cancelled = match clear(answer) {
            None => return self.put_off(at, PAUSE),
            Some(answer) if answer.status == 200 => Cancelled::Done,
            Some(answer) if answer.status == 202 => Cancelled::Requested,
            Some(answer) if answer.status == 409 => {
                let detail = answer.json["detail"].as_str().unwrap_or_default();
                let state = detail.rsplit(' ').next().unwrap_or_default();
                Cancelled::Ended(state.to_owned())
            }
            Some(answer) => {
                let id = &task.id;
                return self.violated(format!(
                    "the answer to the cancellation of task {id} was {answer:?}"
                ));
            }
        };
        if let Some(task) = lock(&self.accepted).get_mut(at) {
            task.cancelled = Some(cancelled);
        }
    }

    /// Restarts a task after it has failed, `restarts` times.
    fn restart(&self, at: usize, task: &Accepted, restarts: u32) {
        let path = format!("/tasks/{}", task.id);
        let record = clear(self.service.ask("GET", &path, None, ""));
        let failed = record.is_some_and(|record| record.json["state"] == "failed");
        if !failed {
            return self.put_off(at, Duration::from_secs(1));
        }
        let answer = self
            .service
            .ask("POST", &format!("{path}/retry"), None, "{}");
        let answer = clear(answer);
        let is_accepted = answer.as_ref().is_some_and(|answer| answer.status == 202);
        if let Some(task) = lock(&self.accepted).get_mut(at) {
            task.restarts_requested += 1;
            task.restarts_accepted += u32::from(is_accepted);
        }
        match answer {
            Some(answer) if !matches!(answer.status, 202 | 409) => {
                let id = &task.id;
                self.violated(format!(
                    "the answer to the restart of task {id} was {answer:?}"
                ));
            }
            Some(_) if is_accepted && task.restarts_accepted + 1 >= restarts => {}
            _ => self.put_off(at, Duration::from_secs(1)),
        }
    }

    fn due(&self) -> Option<usize> {
        let mut later = lock(&self.later);
        let now = Instant::now();
        let place = later.iter().position(|later| later.due <= now)?;
        later.remove(place).map(|later| later.at)
    }

    fn put_off(&self, at: usize, wait: Duration) {
        self.open.fetch_add(1, Ordering::SeqCst);
        let due = Instant::now() + wait;
        lock(&self.later).push_back(Later { due, at });
    }

    fn violated(&self, what: String) {
        lock(&self.violations).push(what);
    }
}

/// An answer from which the outcome is known.
fn clear(answer: Option<Answer>) -> Option<Answer> {
    answer.filter(|answer| answer.status < 500)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
