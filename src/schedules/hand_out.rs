//! Hands out the times of schedules that are due soon: claims them, submits their tasks, and notes that they
//! are submitted.

use futures_util::StreamExt;
use futures_util::stream;

use super::plan::{LEAD, Plan};
use super::schedule::Schedule;
use super::store::{ScheduleStore, Written};
use super::work::Submission;
use crate::celery::outbox::Outbox;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::client::Submitter;
use crate::tasks::task::Task;
use crate::tasks::viewer::Viewer;

/// The most calls to the table at a time.
const AT_ONCE: usize = 64;
/// Tries to write a row that other writers change, before the next tick goes on.
const TRIES: usize = 5;
/// The most claims of one schedule in one call.
const ROUNDS: usize = 3;

/// Hands out times.
#[derive(Debug, Clone)]
pub struct HandOut {
    /// The table of schedules.
    pub schedules: ScheduleStore,
    /// The client that submits tasks of jobs.
    pub tasks: Submitter,
    /// The queues of Celery's tasks, if there are any.
    pub celery: Option<Outbox>,
}

/// What was handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handed {
    /// The number of submitted times.
    pub times: u64,
    /// How late the latest of them was submitted, in milliseconds after the time.
    pub lag: u64,
    /// The number of schedules that were left to the next tick by a failure.
    pub failed: u64,
}

impl Handed {
    /// Both together.
    pub fn and(self, other: Handed) -> Handed {
        Handed {
            times: self.times + other.times,
            lag: self.lag.max(other.lag),
            failed: self.failed + other.failed,
        }
    }
}

impl HandOut {
    /// Hands out what is due of these schedules at the time `now`, in milliseconds since the Unix epoch. A
    /// failure is logged and leaves the schedule to the next call.
    pub async fn hand_out(&self, schedules: Vec<Schedule>, now: u64) -> Handed {
        let (mut handed, mut due) = (Handed::default(), schedules);
        // A round that went on with the claim of a ticker that has died leaves what is due after that claim.
        for _ in 0..ROUNDS {
            let round = self.round(due, now).await;
            handed = handed.and(round.0);
            due = round.1;
            if due.is_empty() {
                break;
            }
        }
        handed
    }

    /// Hands out one claim of each schedule. Also returns the schedules that are still due.
    async fn round(&self, schedules: Vec<Schedule>, now: u64) -> (Handed, Vec<Schedule>) {
        let claims = schedules.into_iter().map(|one| self.claimed(one, now));
        let claims: Vec<_> = stream::iter(claims)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let failed = claims.iter().filter(|claim| claim.is_err()).count();
        let claimed: Vec<Schedule> = claims.into_iter().flatten().flatten().collect();
        let submitted = self.submit(&claimed, now).await;
        let mut handed = Handed::default();
        let mut to_settle = Vec::new();
        for (schedule, is_submitted) in claimed.iter().zip(submitted) {
            if is_submitted {
                handed.times += schedule.claimed.len() as u64;
                let first = schedule.claimed.first().copied().unwrap_or(now);
                handed.lag = handed.lag.max(now.saturating_sub(first));
                to_settle.push(self.settle(schedule));
            }
        }
        let settled: Vec<_> = stream::iter(to_settle).buffered(AT_ONCE).collect().await;
        let is_settled = settled.iter().filter(|settled| settled.is_ok()).count();
        handed.failed = (failed + claimed.len() - is_settled) as u64;
        let settled = settled.into_iter().flatten().flatten();
        let is_due = |schedule: &Schedule| schedule.due().is_some_and(|due| due <= now + LEAD);
        (handed, settled.filter(is_due).collect())
    }

    /// The schedule with claimed times, claimed now or before; `None` if nothing is due.
    async fn claimed(&self, mut schedule: Schedule, now: u64) -> Result<Option<Schedule>, ()> {
        for _ in 0..TRIES {
            if !schedule.claimed.is_empty() {
                return Ok(Some(schedule));
            }
            let name = schedule.name.clone();
            let Some(plan) = plan(&schedule, now)? else {
                return Ok(None);
            };
            schedule.claim(plan);
            match self.schedules.write(&mut schedule).await {
                Ok(Written::Done) if schedule.claimed.is_empty() => return Ok(None),
                Ok(Written::Done) => return Ok(Some(schedule)),
                // An owner or another ticker has changed the row.
                Ok(Written::Overtaken) => {}
                Err(error) => return failed(&name, "claimed", &error),
            }
            match self.schedules.get(&Viewer::Everyone, &name).await {
                Ok(Some(changed)) => schedule = changed,
                Ok(None) => return Ok(None),
                Err(error) => return failed(&name, "claimed", &error),
            }
        }
        // The next tick finds the row as it is then.
        Err(())
    }

    /// Submits the claimed times of each schedule. Returns for each whether all its times are submitted.
    async fn submit(&self, claimed: &[Schedule], now: u64) -> Vec<bool> {
        let mut submitted = vec![true; claimed.len()];
        let (mut tasks, mut messages) = (Vec::new(), Vec::new());
        for (at, schedule) in claimed.iter().enumerate() {
            for time in schedule.occurrences() {
                match schedule.submission(&time, now) {
                    Ok(Submission::Task(task)) => tasks.push((at, *task)),
                    Ok(Submission::Message(message)) => messages.push((at, message)),
                    Err(error) => {
                        submitted[at] = false;
                        not_submitted(&schedule.name, &error);
                    }
                }
            }
        }
        let (places, tasks): (Vec<usize>, Vec<Task>) = tasks.into_iter().unzip();
        let outcomes = self.tasks.submit_all(tasks).await;
        for (at, outcome) in places.into_iter().zip(outcomes) {
            if let Err(error) = outcome {
                submitted[at] = false;
                not_submitted(&claimed[at].name, &error);
            }
        }
        let (places, messages): (Vec<usize>, Vec<_>) = messages.into_iter().unzip();
        let Some(celery) = &self.celery else {
            for at in places {
                submitted[at] = false;
                tracing::error!(schedule = claimed[at].name, "there are no queues of Celery");
            }
            return submitted;
        };
        for (at, outcome) in places.into_iter().zip(celery.send_each(&messages).await) {
            if let Err(error) = outcome {
                submitted[at] = false;
                not_submitted(&claimed[at].name, &error);
            }
        }
        submitted
    }

    /// Notes that the claimed times of a schedule are submitted. Returns the schedule; `None` if it is deleted
    /// or another ticker goes on with it.
    async fn settle(&self, claimed: &Schedule) -> Result<Option<Schedule>, ()> {
        let mut schedule = claimed.clone();
        for _ in 0..TRIES {
            schedule.claimed.clear();
            match self.schedules.write(&mut schedule).await {
                Ok(Written::Done) => return Ok(Some(schedule)),
                Ok(Written::Overtaken) => {}
                Err(error) => return failed(&claimed.name, "settled", &error),
            }
            match self.schedules.get(&Viewer::Everyone, &claimed.name).await {
                // The owner has changed the schedule.
                Ok(Some(changed))
                    if changed.uid == claimed.uid && changed.claimed == claimed.claimed =>
                {
                    schedule = changed;
                }
                Ok(_) => return Ok(None),
                Err(error) => return failed(&claimed.name, "settled", &error),
            }
        }
        Err(())
    }
}

/// What a schedule does at the time `now`. A stored rule that cannot be read, as after a change of this
/// program, is logged.
fn plan(schedule: &Schedule, now: u64) -> Result<Option<Plan>, ()> {
    match schedule.definition.times(schedule.anchor) {
        Ok(times) => Ok(schedule.plan(&times, now)),
        Err(error) => {
            tracing::error!(schedule = schedule.name, %error, "a schedule's rule cannot be read");
            Err(())
        }
    }
}

fn failed<T>(schedule: &str, what: &str, error: &StoreError) -> Result<T, ()> {
    tracing::error!(schedule, error = %Chain(error), "times of a schedule were not {what}");
    Err(())
}

fn not_submitted(schedule: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::error!(schedule, error = %Chain(error), "a time of a schedule was not submitted");
}
