//! Makes the calls that a function's answer has for the end of its task. Each may be made again: messages
//! keep their ids, results are placed in order, and a chord counts a member once.

use serde_json::value::RawValue;

use super::call::{Call, Chord, Content, Item, read_calls};
use super::member::Member;
use crate::celery::canvas::{Failed, failed_chain};
use crate::celery::ends::{Ended, Ending, Ends, Lost, place};
use crate::celery::generation::behind;
use crate::celery::letter::Letter;
use crate::celery::message::{Opened, open};
use crate::celery::result::{Exception, ItemKind};
use crate::celery::store::NEVER_RAN;
use crate::tasks::format::EffectError;
use crate::tasks::state::State;
use crate::tasks::task::Task;

impl Ends {
    /// Makes the calls of an end: the stores first, so that whoever sees a later task's result sees this one's
    /// too, and the counts of chords last: whoever counts last reads the results of all members.
    pub(in crate::celery) async fn make_calls(
        &self,
        ended: &Ended<'_>,
        calls: &RawValue,
    ) -> Result<(), EffectError> {
        let calls = read_calls(calls).map_err(EffectError::Permanent)?;
        let (mut letters, mut chords) = (Vec::new(), Vec::new());
        let mut lost = Lost::default();
        for call in calls {
            match call {
                Call::Send(letter) if ended.end.state == State::Moved => {
                    letters.push(behind(letter, ended.task));
                }
                Call::Send(letter) => letters.push(letter),
                Call::Chord(chord) => chords.push(chord),
                Call::Store(item) => {
                    let place = place(ended.end.run, ended.end.attempt, 2);
                    lost.note(self.store(ended.task, item, place).await)?;
                }
            }
        }
        self.post(ended, &mut letters, &mut lost).await?;
        for chord in chords {
            lost.note(self.count_in(ended, chord).await)?;
        }
        lost.into_result()
    }

    /// Makes the calls of a retry, among them the store of the state. They are made once or never: the end of
    /// the run has what its client waits for.
    pub(in crate::celery) async fn make_calls_of_retry(
        &self,
        task: &Task,
        attempt: u32,
        calls: &RawValue,
    ) -> Result<(), EffectError> {
        let calls = read_calls(calls).map_err(EffectError::Permanent)?;
        let mut lost = Lost::default();
        for call in calls {
            match call {
                Call::Send(letter) => {
                    let refused = self.outbox.post(&[letter]).await?.into_iter().next();
                    lost.note(refused.map_or(Ok(()), |(_, error)| Err(error.into())))?;
                }
                Call::Store(item) => {
                    let place = place(task.run, attempt, 1);
                    lost.note(self.store(task, item, place).await)?;
                }
                Call::Chord(_) => {}
            }
        }
        lost.into_result()
    }

    /// Sends messages, and fails the tasks of the messages that no try can send.
    async fn post(
        &self,
        ended: &Ended<'_>,
        letters: &mut Vec<Letter>,
        lost: &mut Lost,
    ) -> Result<(), EffectError> {
        let letters = std::mem::take(letters);
        for (at, error) in self.outbox.post(&letters).await? {
            let exception = Exception::of_error("", "RuntimeError", &error.to_string());
            if let Some(letter) = letters.get(at) {
                self.fail_unsent(ended, letter, &exception, lost).await?;
            }
            lost.note(Err::<(), _>(EffectError::from(error)))?;
        }
        Ok(())
    }

    /// Fails the task of a message that cannot be sent, and the tasks that would follow.
    async fn fail_unsent(
        &self,
        ended: &Ended<'_>,
        letter: &Letter,
        exception: &Exception,
        lost: &mut Lost,
    ) -> Result<(), EffectError> {
        let (headers, embed) = match open(&letter.body, |_, _| true) {
            Ok(Opened::Message(message)) => (message.headers, message.embed),
            Ok(Opened::Sealed(sealed)) => (sealed.headers, Default::default()),
            // The message of another program.
            Err(_) => return Ok(()),
        };
        if headers.id == ended.task.id.as_str() {
            // The message in which the task itself was to go on.
            let failure = Ending::Failure(exception.clone(), None);
            let followed = Box::pin(self.follow(ended, &failure, None)).await;
            return lost.note(followed).map(drop);
        }
        let first = Failed {
            id: headers.id,
            group: headers.group,
            parent_id: headers.parent_id,
            chord: embed.chord,
        };
        let mut failed = vec![first];
        failed.extend(failed_chain(&embed.chain));
        self.fail_all(&ended.sender, failed, exception, 0, lost)
            .await
    }

    /// Stores an item. `place` is the place of the task's own result; the results of other tasks are those of
    /// tasks that never run.
    async fn store(&self, task: &Task, item: Item, place: u64) -> Result<(), EffectError> {
        let is_own = item.id == self.results.key_of(task.id.as_str());
        let (kind, key) = (self.results.kind_of(&item.id), item.id);
        match (kind, item.content) {
            (Some(ItemKind::Task), Content::Result(bytes)) => {
                let place = if is_own { place } else { NEVER_RAN };
                self.results.put_bytes(key, place, bytes).await?;
            }
            (Some(ItemKind::Group), Content::Result(bytes)) => {
                self.results.put_group(key, bytes).await?;
            }
            (Some(ItemKind::Chord), Content::Counter) => self.results.put_counter(key).await?,
            _ => {
                let reason = "an item to store is none of Celery's table of results";
                return Err(EffectError::Permanent(reason.to_owned()));
            }
        }
        Ok(())
    }

    /// Counts a member of a chord: the task, or a link behind the task that never runs.
    async fn count_in(&self, ended: &Ended<'_>, chord: Option<Chord>) -> Result<(), EffectError> {
        let Some(member) = Member::of(ended.source, chord) else {
            let reason = "the task is no member of a chord";
            return Err(EffectError::Permanent(reason.to_owned()));
        };
        let Member { group, id, body } = &member;
        self.count(&ended.sender, group, id, Some(body), 0).await
    }
}
