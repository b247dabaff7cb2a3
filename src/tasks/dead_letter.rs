//! What the queues give up on: messages that were delivered again and again and never acknowledged,
//! or that could not be delivered at their time. Their tasks fail with that reason, so that no task
//! waits for a message that will not come.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::put_aside::{Owner, PutAside, put_aside};
use super::result::TaskError;
use super::task::Task;
use crate::queue::{self, DeadLetters};
use crate::store::TaskStore;

/// Takes what the queues give up on.
#[derive(Debug, Clone)]
pub struct DeadLetterHandler {
    /// The tasks' records.
    pub tasks: TaskStore,
    /// Where the messages are kept.
    pub dead_letters: DeadLetters,
}

impl DeadLetterHandler {
    /// Fails the tasks of a batch and keeps their messages. The response names those that must come
    /// again, because a worker has their task or a part of AWS does not answer.
    pub async fn run_batch(&self, records: Vec<SqsMessage>) -> SqsBatchResponse {
        let handled = records.iter().map(|record| self.handle(record));
        let handled: Vec<PutAside> = handled.collect::<FuturesOrdered<_>>().collect().await;
        let left = records.into_iter().zip(handled);
        let left = left.filter(|(_, handled)| *handled != PutAside::Done);
        queue::again(left.map(|(record, _)| record.message_id.unwrap_or_default()))
    }

    async fn handle(&self, record: &SqsMessage) -> PutAside {
        let body = record.body.as_deref().unwrap_or_default();
        let error = TaskError {
            kind: "DeadLettered".to_owned(),
            message: "the queue gave its message up: no worker has acknowledged it".to_owned(),
        };
        let task = Task::decode(body);
        let owner = match &task {
            Ok(task) => Owner::Task(task),
            Err(_) => Owner::of_unreadable(body),
        };
        put_aside(&self.tasks, &self.dead_letters, body, owner, &error).await
    }
}
