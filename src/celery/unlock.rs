//! `celery.chord_unlock`: how the clients before Celery 5.4 have a chord joined, without a counter.

use std::sync::Arc;
use std::time::Duration;

use super::canvas::Sender;
use super::ends::Ends;
use super::origin::{Arguments, Source};
use super::result::{Member, Stored, members};
use crate::json::Json;
use crate::tasks::format::EffectError;
use crate::tasks::record::End;
use crate::tasks::task::Task;

/// The name of the task.
pub const CHORD_UNLOCK: &str = "celery.chord_unlock";

/// The shortest and the longest time between two looks at the members.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A chord to join when all its members have ended.
#[derive(Debug)]
pub struct Unlock {
    source: Arc<Source>,
    group: String,
    body: Json,
    members: Vec<Member>,
}

impl Unlock {
    /// The chord of a task of this name; `None` for unreadable arguments.
    pub fn of(task: &Task, source: &Arc<Source>) -> Option<Unlock> {
        let Arguments { args, mut kwargs } = Arguments::read(task.input()?)?;
        let [group, body] = <[Json; 2]>::try_from(args).ok()?;
        let members = match kwargs.remove("result")? {
            Json::Array(members) => members,
            _ => return None,
        };
        Some(Unlock {
            source: Arc::clone(source),
            group: group.as_str()?.to_owned(),
            body,
            members: self::members(&members)?,
        })
    }

    /// Sends the body if all members have ended. A chord that has waited for longer than results are kept
    /// counts a member without a result as lost, and fails.
    ///
    /// # Errors
    /// [`EffectError::Later`] if a member has not ended.
    pub async fn perform(&self, ends: &Ends, task: &Task, end: &End) -> Result<(), EffectError> {
        let results = ends.results.results(&Member::tasks(&self.members)).await?;
        let waited = crate::clock::now_ms().saturating_sub(task.submitted_at);
        let waited = Duration::from_millis(waited);
        let is_old = waited > ends.results.time();
        let has_ended = |result: &Option<Stored>| result.as_ref().map_or(is_old, Stored::is_end);
        if !results.iter().all(has_ended) {
            return Err(EffectError::Later((waited / 10).clamp(SHORTEST, LONGEST)));
        }
        let trace = task.trace_in(end.attempt);
        let sender = Sender {
            trace: trace.as_ref(),
            ..ends.sender(task.id.as_str(), &self.source, &self.group, end)
        };
        ends.join(&sender, &self.group, &self.members, results, &self.body, 0)
            .await
    }
}
