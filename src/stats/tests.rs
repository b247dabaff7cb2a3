//! Numbers of a service with tasks, for everyone and for one caller.

use serde_json::json;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::*;
use crate::clock::stopped;
use crate::dynamodb::testing::{Faults, Gate, Rows, SCHEDULES, TASKS};
use crate::schedules::rule::Spec;
use crate::schedules::store::{ScheduleStore, Written};
use crate::schedules::{Definition, JobOptions, JobWork, Missed, Overlap, Schedule, Work};
use crate::tasks::id::TaskId;
use crate::tasks::metrics::Counter;
use crate::tasks::store::{ClaimOutcome, TaskFailure, TaskStore};
use crate::tasks::task::Task;
use crate::tasks::worker::testing::{DEAD_LETTERS, Queue};

const START: u64 = 1_900_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// The operations that a read of the numbers may use.
const READS: [&str; 3] = ["Query", "GetItem", "BatchGetItem"];

struct World {
    rows: Rows,
    faults: Faults,
    queue: Queue,
    tasks: TaskStore,
}

impl World {
    fn new() -> World {
        stopped::set(START);
        let faults = Faults::default();
        let rows = Rows::new(&faults);
        let client = rows.client(&Gate::default());
        World {
            tasks: TaskStore::new(client, TASKS.to_owned(), HOUR * 400),
            queue: Queue::default(),
            rows,
            faults,
        }
    }

    fn stats(&self) -> Stats {
        let sqs = || self.queue.client(&Gate::default());
        let named = |name: &str| (name.to_owned(), "http://sqs/tasks".to_owned());
        let dead_letters = ("dead-letters".to_owned(), DEAD_LETTERS.to_owned());
        let schedules =
            ScheduleStore::new(self.rows.client(&Gate::default()), SCHEDULES.to_owned());
        Stats {
            tasks: Reader::new(self.tasks.clone()),
            counts: self.tasks.counts(),
            queues: Depths::new(sqs(), vec![named(QUEUE)]),
            dead_letters: Depths::new(sqs(), vec![dead_letters]),
            schedules: Schedules::readable(schedules),
        }
    }

    async fn read(&self, viewer: &Viewer) -> Numbers {
        self.stats().read(viewer, HOUR).await.unwrap()
    }

    /// The calls to the tables for one read of the numbers.
    async fn cost(&self, viewer: &Viewer) -> usize {
        let calls = || {
            READS
                .map(|operation| self.faults.calls(operation))
                .iter()
                .sum::<usize>()
        };
        let before = calls();
        self.read(viewer).await;
        calls() - before
    }

    async fn submitted(&self, caller: Option<&str>) -> Task {
        let input = RawValue::from_string("1".to_owned()).unwrap();
        let mut task = Task::new(Uuid::new_v4(), "echo", input, now_ms());
        task.caller = caller.map(str::to_owned);
        self.tasks.submitted(&task).await.unwrap();
        self.queue.put("a message");
        task
    }

    /// Creates a schedule that fires each minute.
    async fn schedule(&self, name: &str, owner: &str) {
        let rule = Spec::Every {
            every: 60_000,
            start: None,
        };
        let work = Work::Job(JobWork {
            job: "echo".to_owned(),
            input: RawValue::from_string("1".to_owned()).unwrap(),
            options: JobOptions::default(),
        });
        let definition = Definition {
            work,
            rule,
            timezone: "UTC".to_owned(),
            start: None,
            end: None,
            max_runs: None,
            missed: Missed::One,
            overlap: Overlap::Allow,
        };
        let owner = Some(owner.to_owned());
        let mut schedule = Schedule::new(name.to_owned(), owner, definition, now_ms()).unwrap();
        let store = ScheduleStore::new(self.rows.client(&Gate::default()), SCHEDULES.to_owned());
        assert_eq!(store.create(&mut schedule).await.unwrap(), Written::Done);
    }

    /// Runs a task as a worker does, for `ms`.
    async fn run(&self, task: &Task, ms: u64, fails: bool) {
        let claimed = self.tasks.claim(task, HOUR, "worker").await.unwrap();
        let ClaimOutcome::Claimed(lease) = claimed else {
            panic!("not claimed: {claimed:?}");
        };
        let began = now_ms();
        stopped::set(began + ms);
        let error = crate::tasks::record::TaskError::new("Wrong", "never");
        let state = match fails {
            true => {
                self.tasks
                    .fail(&lease, TaskFailure::new(&error, None))
                    .await
                    .unwrap();
                State::Failed
            }
            false => {
                self.tasks.complete(&lease, "1").await.unwrap();
                State::Completed
            }
        };
        let counter = Counter::new(self.tasks.counts());
        counter.attempted(
            task,
            lease.attempt,
            began,
            Duration::from_millis(ms),
            Some(state),
        );
        counter.write().await;
    }
}

fn caller(name: &str) -> Viewer {
    Viewer::Caller(name.to_owned())
}

fn count(numbers: &Numbers, state: State) -> Count {
    numbers.states[state.as_str()]
}

#[tokio::test]
async fn few_tasks_are_counted_exactly() {
    let world = World::new();
    let tasks = [
        world.submitted(Some("ada")).await,
        world.submitted(Some("eve")).await,
    ];
    world.submitted(Some("ada")).await;
    stopped::set(START + 5_000);
    world.run(&tasks[0], 40, false).await;
    world.run(&tasks[1], 400, true).await;
    stopped::set(START + 10_000);
    let numbers = world.read(&Viewer::Everyone).await;
    for (state, expected) in [
        (State::Pending, 1),
        (State::Completed, 1),
        (State::Failed, 1),
        (State::Running, 0),
    ] {
        assert_eq!(count(&numbers, state), Count::exact(expected), "{state}");
    }
    assert_eq!(numbers.states.len(), State::ALL.len());
    let echo = &numbers.jobs.jobs["echo"];
    assert_eq!(
        (echo.ended(State::Completed), echo.ended(State::Failed)),
        (1, 1)
    );
    assert!(echo.wait.quantile(0.5).unwrap().abs_diff(5_000) < 500);
    assert_eq!(
        numbers.steps.keys().copied().collect::<Vec<_>>(),
        [minute_of(START)]
    );
    let queues = numbers.queues.unwrap();
    assert_eq!((queues.tasks[0].0.visible, queues.dead_letters), (3, 0));
    assert_eq!(queues.tasks[0].1, Some(START), "the task that waits");
    assert!(!numbers.at_least && numbers.step == 1);
}

#[tokio::test]
async fn a_caller_gets_numbers_of_own_tasks_alone() {
    let world = World::new();
    let ada = world.submitted(Some("ada")).await;
    let eve = world.submitted(Some("eve")).await;
    world.submitted(None).await;
    world.run(&ada, 40, false).await;
    world.run(&eve, 400, true).await;
    let numbers = world.read(&caller("ada")).await;
    assert_eq!(count(&numbers, State::Completed), Count::exact(1));
    for state in [State::Failed, State::Pending] {
        assert_eq!(count(&numbers, state), Count::exact(0), "{state}");
    }
    assert!(numbers.queues.is_none() && !numbers.at_least);
    let echo = &numbers.jobs.jobs["echo"];
    assert_eq!(
        (echo.ended(State::Completed), echo.ended(State::Failed)),
        (1, 0)
    );
    assert_eq!(
        (echo.run.count(), echo.run.sum_ms(), echo.wait.count()),
        (1, 40, 1)
    );
    let nobody = world.read(&caller("nobody")).await;
    assert!(nobody.jobs.is_empty() && nobody.states.values().all(|count| count.count == 0));
}

/// Rows of tasks in this state, without the calls of a life.
async fn fill(world: &World, tasks: usize, state: State) {
    for number in 0..tasks {
        let id = TaskId::from(Uuid::new_v4());
        let (shard, time) = (id.uuid().as_bytes()[0] % 8, START + number as u64);
        let mut row = json!({
            "id": {"S": id}, "part": {"N": "0"}, "state": {"S": state}, "run": {"N": "1"},
            "job": {"S": "echo"}, "caller": {"S": "ada"}, "created_at": {"N": time.to_string()},
            "input": {"S": "1"}, "attempts": {"N": "0"}, "priority": {"S": "normal"},
            "list_shard": {"N": shard.to_string()}, "list_key": {"S": format!("{time:013}-{id}")},
            "caller_shard": {"S": format!("{shard}#ada")},
        });
        if state == State::Failed {
            row["state_shard"] = json!({"S": format!("{state}#{shard}")});
        }
        world.rows.put(&json!({"TableName": TASKS, "Item": row}));
    }
}

/// The calls of reads with so many more tasks of each of two states.
async fn costs(tasks: usize) -> [usize; 2] {
    let world = World::new();
    fill(&world, tasks, State::Completed).await;
    fill(&world, tasks, State::Failed).await;
    let numbers = world.read(&Viewer::Everyone).await;
    let failed = count(&numbers, State::Failed);
    assert_eq!(failed.at_least, tasks > 4_000, "{failed:?}");
    assert!(failed.count >= tasks.min(4_000) as u64, "{failed:?}");
    let completed = count(&numbers, State::Completed);
    let half = NEWEST as u64 / 2;
    assert_eq!(completed, Count::at_least(half), "half of the newest");
    [
        world.cost(&Viewer::Everyone).await,
        world.cost(&caller("ada")).await,
    ]
}

#[tokio::test]
async fn the_number_of_reads_does_not_grow_with_the_number_of_tasks() {
    let few = costs(400).await;
    let many = costs(4_800).await;
    assert_eq!(few, many);
    assert!(many[0] <= 75 && many[1] <= 15, "{many:?}");
}

/// As the test before, with as many tasks as a busy service has. Takes a minute.
#[tokio::test]
#[ignore = "fills a table with 100,000 rows"]
async fn a_hundred_thousand_tasks_cost_no_more_reads() {
    assert_eq!(costs(50_000).await, costs(400).await);
}

#[tokio::test]
async fn a_backlog_is_seen_by_its_messages() {
    let world = World::new();
    for _ in 0..NEWEST + 50 {
        world.submitted(None).await;
    }
    let numbers = world.read(&Viewer::Everyone).await;
    assert_eq!(
        count(&numbers, State::Pending),
        Count::at_least(NEWEST as u64 + 50)
    );
    let queues = numbers.queues.unwrap();
    assert_eq!(
        queues.tasks[0].1, None,
        "the oldest is not among the newest"
    );
}

#[tokio::test]
async fn longer_windows_have_longer_steps() {
    let world = World::new();
    for minute in 0..60 {
        stopped::set(START + minute * 60_000);
        let task = world.submitted(None).await;
        world.run(&task, 1, false).await;
    }
    for (hours, step) in [(1, 1), (2, 1), (6, 5), (24, 15)] {
        let numbers = world
            .stats()
            .read(&Viewer::Everyone, HOUR * hours)
            .await
            .unwrap();
        assert_eq!(numbers.step, step);
        assert_eq!(numbers.jobs.sum().ended(State::Completed), 60);
        assert!(numbers.steps.len() <= 61 / step as usize + 2);
        let steps = numbers.steps.values();
        let sum: u64 = steps.map(|step| step.sum().ended(State::Completed)).sum();
        assert_eq!(sum, 60, "{hours} hours");
        assert!(numbers.steps.keys().all(|minute| minute % step == 0));
    }
}

#[tokio::test]
async fn late_schedules_are_counted() {
    let world = World::new();
    for (name, owner) in [("a", "ada"), ("b", "ada"), ("c", "eve")] {
        world.schedule(name, owner).await;
    }
    let late = |numbers: Numbers| (numbers.late.count, numbers.late.at_least);
    assert_eq!(late(world.read(&Viewer::Everyone).await), (0, false));
    stopped::set(START + 10 * 60_000);
    assert_eq!(late(world.read(&Viewer::Everyone).await), (3, false));
    assert_eq!(late(world.read(&caller("ada")).await), (2, false));
    assert_eq!(late(world.read(&caller("nobody")).await), (0, false));
}
