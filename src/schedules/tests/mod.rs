//! Schedules on the embedded database: operations, plans, and the ticker under crashes and races.

mod celery;
mod model;
mod operations;
mod plans;
mod property;
mod ticks;

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::task::spawn_local;

use super::client::{Change, ScheduleError, Schedules};
use super::hand_out::HandOut;
use super::rule::{CrontabFields, Spec};
use super::store::ScheduleStore;
use super::ticker::{Ticked, Ticker};
use super::*;
use crate::celery::outbox::Outbox;
use crate::clock::{now_ms, stopped};
use crate::dynamodb::StoreError;
use crate::dynamodb::testing::{self, Faults, Gate, Rows};
use crate::tasks::client::{Reader, Submitter};
use crate::tasks::queue::TaskQueue;
use crate::tasks::record::TaskRecord;
use crate::tasks::store::{ListQuery, TaskStore};
use crate::tasks::viewer::Viewer;
use crate::tasks::worker::testing::Queue;

/// 2030-03-17T17:46:40Z: a whole second, and no whole minute.
const START: u64 = 1_900_000_000_000;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const RETENTION: Duration = Duration::from_secs(10_000_000);
/// A deadline that never comes.
const NO_DEADLINE: u64 = u64::MAX;

/// The tables and queues, and a clock that stands still.
struct World {
    rows: Rows,
    faults: Faults,
    queue: Queue,
}

impl World {
    fn new() -> World {
        stopped::set(START);
        let faults = Faults::default();
        World {
            rows: Rows::new(&faults),
            faults,
            queue: Queue::default(),
        }
    }

    fn tasks(&self, gate: &Gate) -> TaskStore {
        TaskStore::new(self.rows.client(gate), testing::TASKS.to_owned(), RETENTION)
    }

    /// What hands out times, with all its calls behind `gate`.
    fn hand_out(&self, gate: &Gate) -> HandOut {
        let url = |name: &str| format!("http://sqs/{name}");
        let queue = TaskQueue::new(self.queue.client(gate), url("tasks"), url("high"));
        let celery = Outbox::new(self.queue.client(gate), "celery=http://sqs/celery", "");
        let table = testing::SCHEDULES.to_owned();
        HandOut {
            schedules: ScheduleStore::new(self.rows.client(gate), table),
            tasks: Submitter::new(queue, self.tasks(gate), None),
            celery: Some(celery.unwrap()),
        }
    }

    /// A ticker whose calls for schedules go through `gate`.
    fn ticker(&self, gate: &Gate) -> Ticker {
        let counts = self.tasks(&Gate::default()).counts();
        Ticker::new(self.hand_out(gate), counts)
    }

    fn schedules(&self, gate: &Gate) -> Schedules {
        Schedules::new(self.hand_out(gate))
    }

    /// Creates a schedule that `definition` describes. What is due soon is handed out.
    async fn create(&self, name: &str, definition: Definition) -> Schedule {
        let schedule = Schedule::new(name.to_owned(), None, definition, now_ms()).unwrap();
        let schedules = self.schedules(&Gate::default());
        schedules.create(schedule, now_ms()).await.unwrap()
    }

    async fn get(&self, name: &str) -> Schedule {
        let schedules = self.schedules(&Gate::default());
        schedules.get(&Viewer::Everyone, name).await.unwrap()
    }

    async fn change(&self, name: &str, change: Change) -> Schedule {
        let schedules = self.schedules(&Gate::default());
        let edit = |_: &Schedule| Ok::<_, ScheduleError>(change.clone());
        let changed = schedules.change(&Viewer::Everyone, name, None, now_ms(), edit);
        changed.await.unwrap()
    }

    async fn tick(&self) -> Ticked {
        let ticker = self.ticker(&Gate::default());
        ticker.tick(NO_DEADLINE).await.unwrap()
    }

    /// Starts a tick whose calls go through `gate`.
    fn start_tick(&self, gate: &Gate) -> tokio::task::JoinHandle<Result<Ticked, StoreError>> {
        let ticker = self.ticker(gate);
        spawn_local(async move { ticker.tick(NO_DEADLINE).await })
    }

    /// The tasks of a schedule, oldest first.
    async fn tasks_of(&self, schedule: &str) -> Vec<TaskRecord> {
        let reader = Reader::new(self.tasks(&Gate::default()));
        let mut tasks = Vec::new();
        let mut after = None;
        loop {
            let query = ListQuery {
                schedule: Some(schedule),
                limit: 100,
                after,
                ..ListQuery::default()
            };
            let page = reader.list(&Viewer::Everyone, &query).await.unwrap();
            tasks.extend(page.0);
            after = page.1;
            if after.is_none() {
                break;
            }
        }
        tasks.sort_by_key(|task| task.options.eta);
        tasks
    }

    /// The times of a schedule's tasks, as seconds after [`START`].
    async fn seconds_of(&self, schedule: &str) -> Vec<i64> {
        let tasks = self.tasks_of(schedule).await;
        let times = tasks
            .into_iter()
            .map(|task| seconds(task.options.eta.unwrap()));
        times.collect()
    }
}

/// Seconds after [`START`].
fn seconds(at: u64) -> i64 {
    (at as i64 - START as i64) / 1000
}

/// Moves the clock.
fn pass(milliseconds: u64) {
    stopped::set(now_ms() + milliseconds);
}

/// A schedule of a job that fires at each multiple of so many seconds after its creation.
fn every(seconds: u64) -> Definition {
    definition(Spec::Every {
        every: seconds * SECOND,
        start: None,
    })
}

fn definition(rule: Spec) -> Definition {
    let input = RawValue::from_string(r#"{"values":[1]}"#.to_owned()).unwrap();
    Definition {
        work: Work::Job(JobWork {
            job: "process_data".to_owned(),
            input,
            options: JobOptions::default(),
        }),
        rule,
        timezone: "UTC".to_owned(),
        start: None,
        end: None,
        max_runs: None,
        missed: Missed::One,
        overlap: Overlap::Allow,
    }
}

/// Every minute, by a crontab.
fn minutely() -> Definition {
    definition(Spec::Crontab(CrontabFields::default()))
}

/// Runs a world on one thread, because the stopped clock belongs to a thread.
fn on_one_thread<T>(world: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, world)
}
