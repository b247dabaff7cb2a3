//! Checks the part of a function's answer that is Celery's, before the end of the run is written.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::RemoteBodies;
use super::call::{Call, Content, Item, read_calls};
use super::member::Member;
use crate::celery::ends::Ends;
use crate::celery::message::{Opened, open_answer};
use crate::celery::origin::{Source, task_of, task_of_sealed};
use crate::celery::result::ItemKind;
use crate::json::parse_str;
use crate::tasks::format::{AnswerKind, Parts};
use crate::tasks::job::JobError;
use crate::tasks::task::{Next, Task};

/// Reads and checks the part of an answer: `calls`, which the end of the run makes (missing if the service
/// is to do what follows), and `message`, that of the next attempt.
///
/// # Errors
/// When a call leads to a queue or a table that is not configured, or does not fit the answer: the attempt
/// has failed for good with this error.
pub fn answer(
    ends: &Ends,
    bodies: &RemoteBodies,
    task: &Task,
    part: &RawValue,
    kind: AnswerKind,
) -> Result<Parts, JobError> {
    let parts: serde_json::Result<BTreeMap<String, Box<RawValue>>> =
        serde_json::from_str(part.get());
    let mut parts = parts.map_err(|_| invalid("the part of Celery is not an object"))?;
    let mut part = |name| parts.remove(name).filter(|part| part.get() != "null");
    let (calls, message) = (part("calls"), part("message"));
    let source = Source::of(task).ok_or_else(|| invalid("the task did not come from Celery"))?;
    if let Some(calls) = &calls {
        let calls = read_calls(calls).map_err(|reason| invalid(&reason))?;
        let check = Check {
            ends,
            source: &source,
            kind,
        };
        calls.iter().try_for_each(|call| check.call(call))?;
    }
    let next = match (&message, kind) {
        (None, _) => None,
        (Some(message), AnswerKind::Retry) => Some(next_of(ends, bodies, task, &source, message)?),
        (Some(_), _) => return Err(invalid("only a retry has a message")),
    };
    Ok(Parts { calls, next })
}

fn invalid(reason: &str) -> JobError {
    JobError::permanent("InvalidAnswer", reason)
}

struct Check<'a> {
    ends: &'a Ends,
    source: &'a Source,
    kind: AnswerKind,
}

impl Check<'_> {
    fn call(&self, call: &Call) -> Result<(), JobError> {
        match call {
            Call::Store(item) => self.store(item),
            Call::Send(letter) => {
                let known = self.ends.outbox.known(&letter.queue_url);
                let unknown = |error| JobError::permanent("UnknownQueue", format!("{error}"));
                known.map(drop).map_err(unknown)
            }
            Call::Chord(_) if self.kind == AnswerKind::Retry => Err(invalid(
                "a task to be tried again does not count in its chord",
            )),
            Call::Chord(chord) => match Member::of(self.source, chord.clone()) {
                Some(_) => Ok(()),
                None => Err(invalid("the task is no member of this chord")),
            },
        }
    }

    fn store(&self, item: &Item) -> Result<(), JobError> {
        let results = &self.ends.results;
        if item.table != results.table() {
            let message = format!("the table {:?} is not that of the results", item.table);
            return Err(JobError::permanent("UnknownTable", message));
        }
        match (results.kind_of(&item.id), &item.content) {
            (Some(ItemKind::Task | ItemKind::Group), Content::Result(_))
            | (Some(ItemKind::Chord), Content::Counter) => Ok(()),
            _ => Err(invalid("an item to store is none of Celery's results")),
        }
    }
}

/// What the next attempt gets, from the message that Celery would have sent for it.
fn next_of(
    ends: &Ends,
    bodies: &RemoteBodies,
    task: &Task,
    source: &Source,
    message: &RawValue,
) -> Result<Next, JobError> {
    let malformed = || invalid("the message of a retry is not an object");
    let message = parse_str(message.get()).map_err(|_| malformed())?;
    let message = message.into_object().map_err(|_| malformed())?;
    let opened = open_answer(message, |_, kind| bodies.decode(&task.job, kind));
    let opened = opened.map_err(|refused| {
        let message = format!("the message of a retry cannot be read: {refused}");
        JobError::permanent(refused.kind.as_str(), message)
    })?;
    let (headers, properties) = match &opened {
        Opened::Message(message) => (&message.headers, &message.properties),
        Opened::Sealed(sealed) => (&sealed.headers, &sealed.properties),
    };
    if headers.id != task.id.as_str() || headers.task != source.headers.task {
        return Err(invalid("the message of a retry is one of another task"));
    }
    let is_served = |queue| Some(queue) == source.properties.queue() || ends.outbox.has(queue);
    if let Some(queue) = properties.queue().filter(|queue| !is_served(queue)) {
        let message = format!("a retry is to go on in the unknown queue {queue:?}");
        return Err(JobError::permanent("UnknownQueue", message));
    }
    let next = match opened {
        Opened::Message(message) => task_of(*message, task.submitted_at, true),
        Opened::Sealed(sealed) => task_of_sealed(*sealed, task.submitted_at),
    };
    let next = next.ok_or_else(|| invalid("the message of a retry has no id"))?;
    Ok(Next {
        input: next.input().map(ToOwned::to_owned),
        origin: next
            .origin
            .as_ref()
            .and_then(|origin| origin.data())
            .map(ToOwned::to_owned),
    })
}
