//! Operations on schedules: create, read, list, change, delete, pause, resume, and run at once.
//!
//! Every operation takes a [`Viewer`]: a caller sees and changes own schedules only. A change of a schedule
//! takes effect with the first time that was not handed out; times are handed out up to
//! [`super::plan::LEAD`] before.

use uuid::Uuid;

use super::hand_out::HandOut;
use super::rule::RuleError;
use super::schedule::{Definition, Schedule};
use super::store::{ScheduleStore, Written};
use super::work::{Occurrence, Submission, Work};
use crate::celery::canvas::Unsendable;
use crate::celery::outbox::OutboxError;
use crate::dynamodb::StoreError;
use crate::tasks::client::{Accepted, SubmitError};
use crate::tasks::store::Count;
use crate::tasks::viewer::Viewer;

/// The largest definition in bytes of JSON. Each time that is handed out writes the row twice, at one write
/// unit for each KB, and is a message of this size, of which SQS bills 64 KB as one.
pub const MAX_DEFINITION: usize = 60 * 1024;
/// Tries to change a row that others change, before the change fails.
const TRIES: usize = 10;

/// The schedules.
#[derive(Debug, Clone)]
pub struct Schedules {
    store: ScheduleStore,
    hand_out: Option<HandOut>,
}

/// Why an operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The name is taken.
    #[error("the name is taken")]
    Taken,
    /// The viewer sees no such schedule.
    #[error("there is no such schedule")]
    Unknown,
    /// The schedule has another version than the one that was expected.
    #[error("the schedule has version {0}")]
    Version(u64),
    /// The definition exceeds [`MAX_DEFINITION`].
    #[error("the definition is larger than {MAX_DEFINITION} bytes")]
    TooLarge,
    /// The schedule is for a task of Celery, and there are no queues of Celery.
    #[error("this service takes no tasks of Celery")]
    NoCelery,
    /// A rule is wrong.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The message of a Celery task cannot be made.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// The table does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task was not submitted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The message of a Celery task was not sent.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// A change of a schedule. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Another definition.
    pub definition: Option<Definition>,
    /// Whether the schedule is paused.
    pub paused: Option<bool>,
}

impl Schedules {
    /// The schedules in `store`, to be read and deleted.
    pub fn readable(store: ScheduleStore) -> Schedules {
        Schedules {
            store,
            hand_out: None,
        }
    }

    /// The schedules of `hand_out`. A created or changed schedule is handed out at once for the time to the
    /// next tick.
    pub fn new(hand_out: HandOut) -> Schedules {
        Schedules {
            store: hand_out.schedules.clone(),
            hand_out: Some(hand_out),
        }
    }

    /// Creates a schedule. A repeated call after a success finds its name taken.
    ///
    /// # Errors
    /// When the name is taken, and when the table does not answer.
    pub async fn create(
        &self,
        mut schedule: Schedule,
        now: u64,
    ) -> Result<Schedule, ScheduleError> {
        self.check(&schedule.definition)?;
        match self.store.create(&mut schedule).await? {
            Written::Done => Ok(self.handed_out(schedule, now).await),
            Written::Overtaken => Err(ScheduleError::Taken),
        }
    }

    /// The schedule with this name.
    ///
    /// # Errors
    /// When `viewer` sees no such schedule, and when the table does not answer.
    pub async fn get(&self, viewer: &Viewer, name: &str) -> Result<Schedule, ScheduleError> {
        let found = self.store.get(viewer, name).await?;
        found.ok_or(ScheduleError::Unknown)
    }

    /// The schedules after the name `after`, by name, and the name of the last one if there may be more.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn list(
        &self,
        viewer: &Viewer,
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<Schedule>, Option<String>), StoreError> {
        self.store.list(viewer, limit, after).await
    }

    /// The number of schedules of `viewer` that were due at the time `until` or before, in milliseconds since the
    /// Unix epoch, and have not been handed out. The number of reads is bounded.
    ///
    /// # Errors
    /// When the table does not answer.
    pub async fn late(&self, viewer: &Viewer, until: u64) -> Result<Count, StoreError> {
        self.store.late(viewer, until).await
    }

    /// Changes a schedule as `edit` says, which gets the present schedule and may be called again if another
    /// writer changes the row meanwhile. `version` is the version that the caller of this method has seen,
    /// for a change that must not overwrite another.
    ///
    /// # Errors
    /// When `edit` refuses, when `viewer` sees no such schedule, when the version differs, and when the table
    /// does not answer.
    pub async fn change<E: From<ScheduleError>>(
        &self,
        viewer: &Viewer,
        name: &str,
        version: Option<u64>,
        now: u64,
        edit: impl Fn(&Schedule) -> Result<Change, E>,
    ) -> Result<Schedule, E> {
        for _ in 0..TRIES {
            let mut schedule = self.get(viewer, name).await?;
            check(&schedule, version)?;
            let change = edit(&schedule)?;
            change
                .definition
                .iter()
                .try_for_each(|definition| self.check(definition))?;
            apply(&mut schedule, change, now)?;
            let written = self.store.write(&mut schedule).await;
            if written.map_err(ScheduleError::from)? == Written::Done {
                return Ok(self.handed_out(schedule, now).await);
            }
        }
        Err(ScheduleError::from(StoreError::Busy).into())
    }

    /// Deletes a schedule. Its tasks stay, and times that are claimed are submitted before: a ticker may have
    /// died after the claim. A repeated call finds no schedule.
    ///
    /// # Errors
    /// When `viewer` sees no such schedule, when the version differs, and when the table does not answer.
    pub async fn delete(
        &self,
        viewer: &Viewer,
        name: &str,
        version: Option<u64>,
        now: u64,
    ) -> Result<(), ScheduleError> {
        for tries in 0..TRIES {
            let mut schedule = self.get(viewer, name).await?;
            check(&schedule, version)?;
            if tries == 0 && !schedule.claimed.is_empty() {
                schedule = self.handed_out(schedule, now).await;
            }
            if self.store.delete(&schedule).await? == Written::Done {
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Submits a task of the schedule at once. It is none of the schedule's times: it neither counts nor
    /// overlaps with them.
    ///
    /// # Errors
    /// When `viewer` sees no such schedule, and when the task is not accepted.
    pub async fn run(
        &self,
        viewer: &Viewer,
        name: &str,
        now: u64,
    ) -> Result<Accepted, ScheduleError> {
        let schedule = self.get(viewer, name).await?;
        let Some(hand_out) = &self.hand_out else {
            return Err(ScheduleError::Unknown);
        };
        let time = Occurrence {
            id: Uuid::new_v4().into(),
            at: None,
            after: None,
        };
        match schedule.submission(&time, now)? {
            Submission::Task(task) => Ok(hand_out.tasks.submit(*task).await?),
            Submission::Message(message) => {
                let job = message.task.clone();
                let celery = hand_out.celery.as_ref().ok_or(ScheduleError::NoCelery)?;
                celery.send(&[message]).await?;
                let (id, eta) = (time.id, None);
                Ok(Accepted { id, job, eta })
            }
        }
    }

    /// Checks what a definition would be refused for at each of its times.
    fn check(&self, definition: &Definition) -> Result<(), ScheduleError> {
        let json = serde_json::to_vec(definition).unwrap_or_default();
        if json.len() > MAX_DEFINITION {
            return Err(ScheduleError::TooLarge);
        }
        let Work::Celery(work) = &definition.work else {
            return Ok(());
        };
        let celery = self.hand_out.as_ref().and_then(|one| one.celery.as_ref());
        let message = work.check()?;
        celery.ok_or(ScheduleError::NoCelery)?.check(&[message])?;
        Ok(())
    }

    /// Hands out what is due before the next tick. A failure is logged, and left to the ticker.
    async fn handed_out(&self, schedule: Schedule, now: u64) -> Schedule {
        let Some(hand_out) = &self.hand_out else {
            return schedule;
        };
        let is_due = schedule
            .due()
            .is_some_and(|due| due <= now + super::plan::LEAD);
        if !is_due {
            return schedule;
        }
        let name = schedule.name.clone();
        hand_out.hand_out(vec![schedule.clone()], now).await;
        match self.store.get(&Viewer::Everyone, &name).await {
            Ok(Some(changed)) if changed.uid == schedule.uid => changed,
            _ => schedule,
        }
    }
}

fn check(schedule: &Schedule, version: Option<u64>) -> Result<(), ScheduleError> {
    match version {
        Some(version) if version != schedule.version => {
            Err(ScheduleError::Version(schedule.version))
        }
        _ => Ok(()),
    }
}

fn apply(schedule: &mut Schedule, change: Change, now: u64) -> Result<(), ScheduleError> {
    if let Some(definition) = change.definition {
        schedule.redefine(definition, now)?;
    }
    if let Some(paused) = change.paused {
        schedule.set_paused(paused, now)?;
    }
    schedule.version += 1;
    schedule.updated_at = now;
    Ok(())
}
