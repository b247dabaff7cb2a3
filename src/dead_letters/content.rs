//! What a dead letter is about.

use serde::Deserialize;

use crate::celery::peek::{Peek, peek};
use crate::error::Chain;
use crate::tasks::id::TaskId;
use crate::tasks::letters::{Letter, Reference};
use crate::tasks::store::TaskStore;

/// What a letter is about.
#[derive(Debug, Default)]
pub struct Content {
    /// The message that was dead-lettered; `None` if its body was stored and is lost.
    pub body: Option<String>,
    /// The id of the message's task, if the id is readable.
    pub task_id: Option<TaskId>,
    /// The name of the task's job, if the name is readable.
    pub job: Option<String>,
    /// The message as one of Celery.
    pub(super) celery: Option<Peek>,
}

/// What every version of the service's own message has.
#[derive(Deserialize)]
struct Named {
    id: TaskId,
    job: Option<String>,
}

impl Content {
    /// Reads a letter. A body that is stored is read from `tasks`; without it, the letter's own body stands for
    /// what is known.
    pub async fn read(letter: &Letter, tasks: &TaskStore) -> Content {
        let Ok(reference) = serde_json::from_str::<Reference>(&letter.body) else {
            return Content::of(letter.body.clone());
        };
        let stored = &reference.stored_body;
        let body = tasks.stored_body(&stored.id, stored.parts).await;
        let body = body.unwrap_or_else(|error| {
            tracing::warn!(id = letter.held.id, error = %Chain(&error), "a dead letter's body was not read");
            None
        });
        let content = body.map(Content::of).unwrap_or_default();
        Content {
            task_id: reference.task_id.or(content.task_id),
            ..content
        }
    }

    fn of(body: String) -> Content {
        if let Ok(Named { id, job }) = serde_json::from_str(&body) {
            return Content {
                body: Some(body),
                task_id: Some(id),
                job,
                celery: None,
            };
        }
        let celery = peek(&body);
        let read = celery.as_ref();
        Content {
            task_id: read.and_then(|read| TaskId::parse(read.id.as_deref()?)),
            job: read.and_then(|read| read.task.clone()),
            body: Some(body),
            celery,
        }
    }
}
