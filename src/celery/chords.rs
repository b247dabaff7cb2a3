//! The chords of tasks that end: counts the members, and sends the body or fails it.

use super::canvas::{Sender, chord_body, failed_chain, failed_chord};
use super::ends::{Ends, Lost};
use super::result::{Exception, Member, Stored};
use super::store::Counter;
use crate::clock::now_ms;
use crate::dynamodb::StoreError;
use crate::json::Json;
use crate::tasks::format::EffectError;

/// How long the result of a chord's member may be missing that a worker of Celery has counted, in
/// milliseconds. Such a worker may count another member twice, so the member may not have ended.
const MISSING: u64 = 3_600_000;

impl Ends {
    /// Counts a member of a chord whose result is stored. Whoever finds that all members have ended sends
    /// the body. `body` is `None` if the member's message was not read: its function has noted the body.
    pub(super) async fn count(
        &self,
        sender: &Sender<'_>,
        group: &str,
        member: &str,
        body: Option<&Json>,
        depth: u32,
    ) -> Result<(), EffectError> {
        let Some(counter) = self.results.count(group, member).await? else {
            return Ok(());
        };
        if counter.size.is_some_and(|size| counter.count < size) {
            return Ok(());
        }
        let Some(body) = body.or(counter.body.as_ref()) else {
            return self.end_without_body(group, &counter).await;
        };
        let joined = match self.results.group(group).await {
            Ok(Some(found)) => {
                let chord = (group, &found.members[..]);
                self.join_if_ended(sender, chord, &counter, body, depth)
                    .await
            }
            // A worker of Celery deletes the group before the counter.
            Ok(None) if !counter.is_old => return Ok(()),
            Ok(None) => {
                let exception = Exception::lost_chord(group);
                let failed = self.fail_body(sender, group, body, &exception, depth).await;
                failed.map(|()| true)
            }
            Err(StoreError::Corrupt(_)) => {
                let exception = Exception::body("the members of the chord are unreadable");
                let failed = self.fail_body(sender, group, body, &exception, depth).await;
                failed.map(|()| true)
            }
            Err(error) => return Err(error.into()),
        };
        if matches!(joined, Ok(true) | Err(EffectError::Permanent(_))) {
            self.results.end_chord(group).await?;
        }
        joined.map(drop)
    }

    /// For a chord whose body no function has noted: waits for a member that knows the body, or gives the
    /// chord up if no such member can come.
    async fn end_without_body(&self, group: &str, counter: &Counter) -> Result<(), EffectError> {
        match self.results.group(group).await? {
            Some(found) if counter.count >= Member::tasks(&found.members).len() as u64 => {
                let reason = "no member of the chord could be read, so that its body is unknown";
                Err(EffectError::Permanent(reason.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Joins a chord whose members were all counted. `false` if some are left.
    async fn join_if_ended(
        &self,
        sender: &Sender<'_>,
        (group, members): (&str, &[Member]),
        counter: &Counter,
        body: &Json,
        depth: u32,
    ) -> Result<bool, EffectError> {
        let ids = Member::tasks(members);
        let size = ids.len() as u64;
        if counter.count < size {
            self.results.note_size(group, size).await?;
            return Ok(false);
        }
        let results = self.results.results(&ids).await?;
        if has_unended(counter, &ids, &results, sender.now) {
            return Err(EffectError::Transient("a member has not ended".into()));
        }
        self.join(sender, group, members, results, body, depth)
            .await?;
        Ok(true)
    }

    /// Sends the body of a chord whose members have all ended; or fails the body, if a member failed or the
    /// body cannot be sent. `results` are those of all tasks of the members.
    pub async fn join(
        &self,
        sender: &Sender<'_>,
        group: &str,
        members: &[Member],
        results: Vec<Option<Stored>>,
        body: &Json,
        depth: u32,
    ) -> Result<(), EffectError> {
        if let Some(exception) = first_failure(&Member::tasks(members), &results) {
            return self.fail_body(sender, group, body, &exception, depth).await;
        }
        let results = results.into_iter().flatten();
        let mut values = results.map(|stored| stored.result);
        let values = Member::arrange(members, &mut values);
        // Any member may be the last, so the body's ids are derived from the chord's.
        let of_chord = Sender {
            seed: group,
            ..*sender
        };
        match self.send(chord_body(&of_chord, body, values)).await {
            Ok(_) => Ok(()),
            Err(EffectError::Permanent(reason)) => {
                let exception = Exception::body(&reason);
                self.fail_body(sender, group, body, &exception, depth).await
            }
            Err(error) => Err(error),
        }
    }

    /// Sends the error callbacks of a chord's body, and stores the failure of the tasks that never run.
    async fn fail_body(
        &self,
        sender: &Sender<'_>,
        group: &str,
        body: &Json,
        exception: &Exception,
        depth: u32,
    ) -> Result<(), EffectError> {
        let sender = &Sender {
            seed: group,
            ..*sender
        };
        let mut lost = Lost::default();
        let (sent, failed) = match failed_chord(sender, body) {
            Ok((sent, failed)) => (Ok(sent), failed),
            Err(error) => (Err(error), failed_chain(std::slice::from_ref(body))),
        };
        lost.note(self.send(sent).await)?;
        self.fail_all(sender, failed, exception, depth, &mut lost)
            .await?;
        lost.into_result()
    }
}

/// Whether a member may not have ended. `now` is the time at which the member that counts has ended.
fn has_unended(counter: &Counter, ids: &[String], results: &[Option<Stored>], now: u64) -> bool {
    ids.iter().zip(results).any(|(id, result)| match result {
        Some(result) => !result.is_end(),
        // A member that this worker counted ignores results, or its result has expired.
        None => !counter.has(id) && now_ms().saturating_sub(now) < MISSING,
    })
}

/// The error of a chord of which a member failed: the failure that was first in time. A member without a
/// result ignores results, or its result has expired.
fn first_failure(members: &[String], results: &[Option<Stored>]) -> Option<Exception> {
    let pairs = members.iter().zip(results);
    let failed = pairs.filter_map(|(id, result)| match result {
        None => {
            let missing = Exception::of_error("", "RuntimeError", "the result is missing");
            Some((0, id, missing))
        }
        Some(stored) => {
            let exception = stored.exception()?;
            Some((stored.date_done.unwrap_or(u64::MAX), id, exception))
        }
    });
    let first = failed.min_by_key(|(at, ..)| *at);
    first.map(|(_, id, exception)| Exception::chord(id, &exception))
}
