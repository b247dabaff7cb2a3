//! Dead letters: messages that could not be processed, as operators see and handle them.
//!
//! [`LetterReader`] lists letters, [`LetterHandler`] runs their tasks again or deletes them. `content` reads
//! what a letter is about.

mod content;
mod handler;
#[cfg(test)]
mod tests;

use futures_util::future::join_all;

use crate::tasks::letters::{Held, Letter};
use crate::tasks::queue::{BATCH, DeadLetters, QueueError};
use crate::tasks::store::TaskStore;

pub use content::Content;
pub use handler::{Action, LetterHandler, Outcome};

/// Lists dead letters.
#[derive(Debug, Clone)]
pub struct LetterReader {
    queue: DeadLetters,
    tasks: TaskStore,
}

/// A letter, and what it is about.
#[derive(Debug)]
pub struct Shown {
    /// The letter.
    pub letter: Letter,
    /// What the letter is about.
    pub content: Content,
}

impl LetterReader {
    /// Lists the letters in `queue`, whose large bodies are stored in `tasks`.
    pub fn new(queue: DeadLetters, tasks: TaskStore) -> LetterReader {
        LetterReader { queue, tasks }
    }

    /// Up to `limit` letters, newest first. Which ones of a longer queue is SQS' choice. Letters that another
    /// look holds at this moment are left out.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub async fn list(&self, limit: usize) -> Result<Vec<Shown>, QueueError> {
        let mut letters: Vec<Letter> = Vec::new();
        let found = self.receive(&mut letters, limit).await;
        let held: Vec<Held> = letters.iter().map(|letter| letter.held.clone()).collect();
        self.queue.release(&held).await;
        found?;
        letters.sort_by_key(|letter| std::cmp::Reverse(letter.sent_at));
        let shown = letters.into_iter().map(|letter| async {
            let content = Content::read(&letter, &self.tasks).await;
            Shown { letter, content }
        });
        Ok(join_all(shown).await)
    }

    async fn receive(&self, letters: &mut Vec<Letter>, limit: usize) -> Result<(), QueueError> {
        while letters.len() < limit {
            let received = self
                .queue
                .receive((limit - letters.len()).min(BATCH))
                .await?;
            if received.is_empty() {
                break;
            }
            // SQS may deliver a message twice although it is hidden.
            letters.retain(|known| received.iter().all(|new| new.held.id != known.held.id));
            letters.extend(received);
        }
        Ok(())
    }
}
