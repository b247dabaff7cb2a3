//! The place of a message among the messages of one task: each retry and each replacement by Celery sends a
//! message of the same id.

use super::envelope::with_header;
use super::headers::Headers;
use super::letter::Letter;
use super::message::{Opened, open};
use crate::tasks::task::Task;

/// The header with the place of a message whose counts of retries and replacements do not grow: an application may
/// set the count back, or send a task again under the task's own id.
const GENERATION: &str = "async_service_generation";

/// The place of a message: later messages of a task have larger ones.
pub(super) fn generation(headers: &Headers) -> u32 {
    let retries = headers.retries.min(0xFFFF);
    let counted = headers.replaced_task_nesting.min(0xFFFF) << 16 | retries;
    let given = headers.custom.get(GENERATION);
    let given = given.and_then(|given| u32::try_from(given.as_i64()?).ok());
    counted.max(given.unwrap_or(0))
}

/// The letter that a task sends at the end of its run. A message in which the task itself goes on gets a place behind
/// the task's present message: without such a place it would be taken for a duplicate of that message. Other letters
/// stay as they are.
pub(super) fn behind(letter: Letter, task: &Task) -> Letter {
    let headers = match open(&letter.body, |_, _| true) {
        Ok(Opened::Message(message)) => message.headers,
        Ok(Opened::Sealed(sealed)) => sealed.headers,
        // The message of another program.
        Err(_) => return letter,
    };
    if headers.id != task.id.as_str() || generation(&headers) > task.generation {
        return letter;
    }
    let next = i64::from(task.generation) + 1;
    match with_header(&letter.body, GENERATION, next.into()) {
        Some(body) => Letter { body, ..letter },
        None => letter,
    }
}
