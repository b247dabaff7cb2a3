//! Runs the tasks of dead letters again, or deletes letters.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::content::Content;
use crate::celery::letter::Letter as Message;
use crate::celery::outbox::Outbox;
use crate::celery::peek::Peek;
use crate::clock::now_ms;
use crate::error::Chain;
use crate::tasks::client::{RetryOutcome, Submitter};
use crate::tasks::letters::{Held, Letter};
use crate::tasks::queue::{BATCH, DeadLetters, QueueError, TaskQueue};
use crate::tasks::store::TaskStore;
use crate::tasks::viewer::Viewer;
use crate::tasks::wire;

/// The most receives of one request: letters are found only by receiving letters, ten at a time.
const MAX_RECEIVES: usize = 100;

/// The time after which no further letters are looked for. The gateway ends a request after 30 s.
const MAX_TIME: Duration = Duration::from_secs(15);

/// What is done to a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The task runs again, or the message goes back to its queue; then the letter is deleted.
    Retry,
    /// The letter is deleted.
    Delete,
}

/// What has become of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The task runs again, and the letter is deleted.
    Retried,
    /// The message is in its queue again, and the letter is deleted.
    SentBack,
    /// The letter is deleted.
    Deleted,
    /// The queue has no such letter, or another look holds it.
    Gone,
    /// The letter was not among those that could be looked at in the time of a request.
    NotReached,
    /// The task cannot run again for this reason, and the letter stays.
    Refused(String),
    /// AWS did not answer. The letter stays.
    Failed,
}

/// Runs the tasks of dead letters again, and deletes letters.
#[derive(Debug, Clone)]
pub struct LetterHandler {
    /// The dead-letter queue.
    pub letters: DeadLetters,
    /// The table of tasks.
    pub tasks: TaskStore,
    /// Runs tasks again.
    pub submitter: Submitter,
    /// The queues of the service's own messages.
    pub queue: TaskQueue,
    /// The queues of Celery's messages, if Celery's clients may submit tasks.
    pub celery: Option<Outbox>,
}

/// The outcomes so far, by the ids of the letters.
type Outcomes<'a> = BTreeMap<&'a str, Outcome>;

impl LetterHandler {
    /// Does this to the letters with these message ids, and returns the outcome of each in order. A call that
    /// is repeated after a crash finds the letters that are left. A crash between the two steps of a retry
    /// leaves the letter of a task that runs.
    pub async fn handle(&self, action: Action, ids: &[String]) -> Vec<Outcome> {
        let mut outcomes: Outcomes<'_> = BTreeMap::new();
        let mut held = Vec::new();
        let missing = self.look(action, ids, &mut outcomes, &mut held).await;
        self.letters.release(&held).await;
        let outcome = |id: &String| outcomes.get(id.as_str()).cloned();
        let outcomes = ids.iter().map(outcome);
        outcomes
            .map(|found| found.unwrap_or_else(|| missing.clone()))
            .collect()
    }

    /// Looks for the letters and handles those that are found. `held` gets the letters that stay. Returns the
    /// outcome of the letters that were not found.
    async fn look<'a>(
        &self,
        action: Action,
        ids: &'a [String],
        outcomes: &mut Outcomes<'a>,
        held: &mut Vec<Held>,
    ) -> Outcome {
        let started = Instant::now();
        for _ in 0..MAX_RECEIVES {
            // No letter has the empty id, which stands for a receipt that was never given out.
            let is_known = |id: &String| id.is_empty() || outcomes.contains_key(id.as_str());
            if ids.iter().all(is_known) {
                return Outcome::Gone;
            }
            if started.elapsed() > MAX_TIME {
                return Outcome::NotReached;
            }
            let received = match self.letters.receive(BATCH).await {
                Ok(received) if received.is_empty() => return Outcome::Gone,
                Ok(received) => received,
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "no dead letters were received");
                    return Outcome::Failed;
                }
            };
            let handled = received.into_iter().map(|letter| async {
                let id = ids.iter().find(|id| **id == letter.held.id);
                let outcome = match id.filter(|id| !outcomes.contains_key(id.as_str())) {
                    Some(_) => Some(self.handle_letter(action, &letter).await),
                    None => None,
                };
                (id, outcome, letter.held)
            });
            for (id, outcome, letter) in join_all(handled).await {
                let is_deleted = outcome.as_ref().is_some_and(Outcome::is_deleted);
                outcomes.extend(id.zip(outcome).map(|(id, outcome)| (id.as_str(), outcome)));
                // The bodies of letters that nobody asked for are not kept.
                held.extend((!is_deleted).then_some(letter));
            }
        }
        Outcome::NotReached
    }

    async fn handle_letter(&self, action: Action, letter: &Letter) -> Outcome {
        let outcome = match action {
            Action::Delete => Outcome::Deleted,
            Action::Retry => match self.retry(letter).await {
                done if done.is_deleted() => done,
                stays => return stays,
            },
        };
        match self.letters.delete(&letter.held).await {
            Ok(()) => {
                tracing::info!(
                    letter = letter.held.id,
                    ?outcome,
                    "a dead letter was handled"
                );
                outcome
            }
            Err(error) => failed(letter, &error),
        }
    }

    async fn retry(&self, letter: &Letter) -> Outcome {
        let content = Content::read(letter, &self.tasks).await;
        let Some(id) = &content.task_id else {
            return self.send_back(letter, content).await;
        };
        let refusal = match self.submitter.retry(&Viewer::Everyone, id).await {
            Ok(RetryOutcome::Accepted(_)) => return Outcome::Retried,
            Ok(RetryOutcome::Unknown) => return self.send_back(letter, content).await,
            Ok(RetryOutcome::Refused(state)) => format!("The task is {state}"),
            Ok(RetryOutcome::EffectsLeft) => {
                "What the task's end sets off is not done yet".to_owned()
            }
            Ok(RetryOutcome::WithoutInput) => "The task's input is not known".to_owned(),
            Ok(RetryOutcome::Overtaken) => "The task was run again already".to_owned(),
            Err(error) => return failed(letter, &error),
        };
        Outcome::Refused(refusal)
    }

    /// Sends the message of a letter without a record to its queue again.
    async fn send_back(&self, letter: &Letter, content: Content) -> Outcome {
        let Some(body) = content.body else {
            return Outcome::Refused("The body of the message is lost".to_owned());
        };
        let sent = match content.celery {
            Some(outside) => return self.send_to_celery(letter, outside, body).await,
            None => self.send_own(&body).await,
        };
        match sent {
            Ok(()) => Outcome::SentBack,
            Err(error) => failed(letter, &error),
        }
    }

    /// Sends a message of the service's own format, or of none, as another version may read it.
    async fn send_own(&self, body: &str) -> Result<(), QueueError> {
        match wire::decode(body, now_ms()) {
            Ok(task) => self.queue.send(&task, Duration::ZERO).await,
            Err(_) => self.queue.send_body(body).await,
        }
    }

    async fn send_to_celery(&self, letter: &Letter, outside: Peek, body: String) -> Outcome {
        let Some(outbox) = &self.celery else {
            return Outcome::Refused("This service takes no messages of Celery".to_owned());
        };
        let queue_url = match outbox.url_of(outside.queue.as_deref()) {
            Ok(url) => url.to_owned(),
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let message = Message {
            queue_url,
            body,
            group: outside.group,
            ..Message::default()
        };
        match outbox.post(&[message]).await {
            Ok(refused) => match refused.into_iter().next() {
                None => Outcome::SentBack,
                Some((_, error)) => Outcome::Refused(error.to_string()),
            },
            Err(error) => failed(letter, &error),
        }
    }
}

impl Outcome {
    /// Whether the letter is deleted, or is to be deleted after this.
    fn is_deleted(&self) -> bool {
        matches!(
            self,
            Outcome::Retried | Outcome::SentBack | Outcome::Deleted
        )
    }
}

fn failed(letter: &Letter, error: &(impl std::error::Error + 'static)) -> Outcome {
    tracing::error!(letter = letter.held.id, error = %Chain(error), "a dead letter was not handled");
    Outcome::Failed
}
