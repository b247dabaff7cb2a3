//! Numbers for an operator: tasks by state, what ended in the last minutes, queues, and schedules that are late.
//!
//! The number of reads is bounded, whatever the number of tasks: a number that the reads did not reach the end of
//! is a lower bound and says so. A viewer who sees only own tasks gets numbers of own tasks alone.

mod own;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all, try_join4};

use crate::celery::origin::CELERY;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::schedules::client::Schedules;
use crate::tasks::client::Reader;
use crate::tasks::counts::{CountStore, Counts, minute_of};
use crate::tasks::depths::{Depth, Depths};
use crate::tasks::queue::QueueError;
use crate::tasks::record::TaskRecord;
use crate::tasks::state::State;
use crate::tasks::store::{Count, ListQuery};
use crate::tasks::task::Priority;
use crate::tasks::viewer::Viewer;

/// The number of the newest tasks whose records are read, for the states that have no index.
pub const NEWEST: usize = 200;

/// A schedule is late so long after it was due, in milliseconds: the ticker runs each minute.
const LATE: u64 = 120_000;

/// The longest windows with steps of so many minutes, in seconds: an answer has at most some 120 steps.
const STEPS: [(u64, u64); 2] = [(7_200, 1), (21_600, 5)];
const LONGEST_STEP: u64 = 15;

/// The names of the service's own queues.
pub const QUEUE: &str = "tasks";
/// The name of the queue of high priority.
pub const HIGH_QUEUE: &str = "tasks-high";

/// Where the numbers come from.
#[derive(Debug, Clone)]
pub struct Stats {
    /// The records of tasks.
    pub tasks: Reader,
    /// What has ended by minute.
    pub counts: CountStore,
    /// The queues of tasks; those of Celery's tasks have Celery's names.
    pub queues: Depths,
    /// The dead-letter queue.
    pub dead_letters: Depths,
    /// The schedules.
    pub schedules: Schedules,
}

/// The numbers for one viewer.
#[derive(Debug)]
pub struct Numbers {
    /// When the numbers were read, in milliseconds since the Unix epoch.
    pub now: u64,
    /// The length of a step in minutes.
    pub step: u64,
    /// The number of tasks in each state.
    pub states: BTreeMap<&'static str, Count>,
    /// What has ended, by the first minute of the step since the Unix epoch.
    pub steps: BTreeMap<u64, Counts>,
    /// What has ended in all steps.
    pub jobs: Counts,
    /// Whether more may have ended than the steps have, as the reads of own tasks were cut.
    pub at_least: bool,
    /// The queues; `None` for a viewer of own tasks.
    pub queues: Option<Queues>,
    /// The number of schedules that are late.
    pub late: Count,
}

/// The numbers of the queues.
#[derive(Debug)]
pub struct Queues {
    /// Each queue, and since when its oldest task has been due, in milliseconds since the Unix epoch; `None` if
    /// none waits, or if too many tasks are newer to tell.
    pub tasks: Vec<(Depth, Option<u64>)>,
    /// The messages of the dead-letter queue that can be received.
    pub dead_letters: u64,
}

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    /// A table does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// SQS does not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The newest tasks of a viewer.
struct Newest {
    records: Vec<TaskRecord>,
    /// Whether there are no others.
    are_all: bool,
}

impl Newest {
    fn count(&self, state: State) -> u64 {
        let records = self.records.iter();
        records.filter(|record| record.state == state).count() as u64
    }

    /// The number of tasks in a state, which is at least `least` if there are others than these tasks.
    fn count_or(&self, state: State, least: u64) -> Count {
        match self.are_all {
            true => Count::exact(self.count(state)),
            false => Count::at_least(self.count(state).max(least)),
        }
    }
}

impl Stats {
    /// The numbers of the last `window`, in whole minutes.
    ///
    /// # Errors
    /// When a table or SQS does not answer.
    pub async fn read(&self, viewer: &Viewer, window: Duration) -> Result<Numbers, StatsError> {
        let now = now_ms();
        let seconds = window.as_secs();
        let from = minute_of(now.saturating_sub(seconds * 1_000));
        match viewer.only() {
            None => self.of_everyone(now, seconds, from).await,
            Some(_) => self.of_caller(viewer, now, seconds, from).await,
        }
    }

    async fn of_everyone(&self, now: u64, seconds: u64, from: u64) -> Result<Numbers, StatsError> {
        let to = minute_of(now) + 1;
        let tables = try_join4(
            self.newest(&Viewer::Everyone),
            self.listed(),
            self.counts.minutes(from, to, false),
            self.late(&Viewer::Everyone, now),
        );
        let tables = async { tables.await.map_err(StatsError::from) };
        let queues = try_join(self.queues.read(), self.dead_letters.read());
        let queues = async { queues.await.map_err(StatsError::from) };
        let ((newest, listed, minutes, late), (depths, dead_letters)) =
            try_join(tables, queues).await?;
        let (jobs, steps, step) = in_steps(minutes, seconds);
        let waiting: u64 = depths.iter().map(|depth| depth.visible).sum();
        let queues = Queues {
            tasks: with_oldest(depths, &newest, now),
            dead_letters: dead_letters.iter().map(|depth| depth.visible).sum(),
        };
        Ok(Numbers {
            now,
            step,
            states: states(&newest, listed, &jobs, waiting),
            steps,
            jobs,
            at_least: false,
            queues: Some(queues),
            late,
        })
    }

    async fn of_caller(
        &self,
        viewer: &Viewer,
        now: u64,
        seconds: u64,
        from: u64,
    ) -> Result<Numbers, StatsError> {
        let own = try_join(self.newest(viewer), self.late(viewer, now));
        let (newest, late) = own.await?;
        let minutes = own::minutes(&newest.records, from);
        let (jobs, steps, step) = in_steps(minutes, seconds);
        let states = State::ALL.map(|state| (state.as_str(), newest.count_or(state, 0)));
        Ok(Numbers {
            now,
            step,
            states: states.into(),
            steps,
            jobs,
            at_least: !newest.are_all,
            queues: None,
            late,
        })
    }

    async fn newest(&self, viewer: &Viewer) -> Result<Newest, StoreError> {
        let query = ListQuery {
            limit: NEWEST,
            ..ListQuery::default()
        };
        let (records, next) = self.tasks.list(viewer, &query).await?;
        Ok(Newest {
            records,
            are_all: next.is_none(),
        })
    }

    /// The numbers of tasks in the states that have an index.
    async fn listed(&self) -> Result<BTreeMap<&'static str, Count>, StoreError> {
        let counted = State::ALL.map(|state| async move {
            let count = self.tasks.count(state).await?;
            Ok::<_, StoreError>(count.map(|count| (state.as_str(), count)))
        });
        Ok(try_join_all(counted).await?.into_iter().flatten().collect())
    }

    async fn late(&self, viewer: &Viewer, now: u64) -> Result<Count, StoreError> {
        self.schedules.late(viewer, now.saturating_sub(LATE)).await
    }
}

/// The number of tasks in each state. `waiting` is the number of messages that can be received.
fn states(
    newest: &Newest,
    mut states: BTreeMap<&'static str, Count>,
    jobs: &Counts,
    waiting: u64,
) -> BTreeMap<&'static str, Count> {
    let of = |states: &BTreeMap<_, Count>, state: State| {
        let found: Option<&Count> = states.get(state.as_str());
        found.map_or(0, |count| count.count)
    };
    // A message that can be received is of a task that waits for its first attempt, or for another one.
    let pending = waiting.saturating_sub(of(&states, State::Retrying));
    // A completed task stays completed for longer than the longest window.
    let completed = jobs.sum().ended(State::Completed);
    for (state, least) in [
        (State::Pending, pending),
        (State::Running, 0),
        (State::Completed, completed),
        (State::Moved, 0),
    ] {
        states.insert(state.as_str(), newest.count_or(state, least));
    }
    states
}

/// The numbers of all minutes, the numbers by step, and the length of a step in minutes.
fn in_steps(minutes: BTreeMap<u64, Counts>, seconds: u64) -> (Counts, BTreeMap<u64, Counts>, u64) {
    let step = STEPS.iter().find(|(longest, _)| seconds <= *longest);
    let step = step.map_or(LONGEST_STEP, |(_, step)| *step);
    let (mut jobs, mut steps) = (Counts::default(), BTreeMap::<u64, Counts>::new());
    for (minute, counts) in minutes {
        jobs.merge(&counts);
        steps
            .entry(minute - minute % step)
            .or_default()
            .merge(&counts);
    }
    (jobs, steps, step)
}

/// Each queue, and since when its oldest pending task has been due. SQS has this number as a metric of
/// CloudWatch only, so it comes from the records, if they are all tasks: among many tasks the oldest that waits
/// is not among the newest.
fn with_oldest(depths: Vec<Depth>, newest: &Newest, now: u64) -> Vec<(Depth, Option<u64>)> {
    let is_own = |depth: &&Depth| [QUEUE, HIGH_QUEUE].contains(&depth.name.as_str());
    let celery = depths.iter().find(|depth| !is_own(depth));
    let celery = celery.map_or("", |depth| depth.name.as_str()).to_owned();
    let mut oldest = BTreeMap::<&str, u64>::new();
    // When a task was sent for another run is not in the record.
    let is_waiting = |record: &&TaskRecord| record.state == State::Pending && record.run == 1;
    let waiting = newest.records.iter().filter(is_waiting);
    for record in waiting.filter(|_| newest.are_all) {
        let due = record.options.eta.unwrap_or(0).max(record.created_at);
        if due <= now {
            let first = oldest.entry(queue_of(record, &celery)).or_insert(due);
            *first = due.min(*first);
        }
    }
    let with_oldest = depths.into_iter().map(|depth| {
        let oldest = oldest.get(depth.name.as_str()).copied();
        (depth, oldest)
    });
    with_oldest.collect()
}

/// The name of the queue that a task waits in; `celery` is the queue of Celery's tasks.
fn queue_of<'a>(record: &TaskRecord, celery: &'a str) -> &'a str {
    match (record.origin.as_deref(), record.options.priority) {
        (Some(CELERY), _) => celery,
        (_, Priority::High) => HIGH_QUEUE,
        (_, Priority::Normal) => QUEUE,
    }
}

#[cfg(test)]
mod tests;
