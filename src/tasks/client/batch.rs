//! Submitting many tasks by few calls.

use futures_util::StreamExt;
use futures_util::stream;

use super::submit::{Accepted, MAX_CARRIED_INPUT, SubmitError, Submitter};
use crate::clock::now_ms;
use crate::tasks::task::Task;

/// The most calls to the table at a time.
const AT_ONCE: usize = 64;

impl Submitter {
    /// Submits tasks without an idempotency key, and returns the outcome of each in order. A repeated call is
    /// harmless. A message waits at most SQS' longest delay, and the worker delays it for the rest.
    ///
    /// The steps are those of [`Submitter::submit`], each for all tasks at once: ten messages are one call.
    pub async fn submit_all(&self, tasks: Vec<Task>) -> Vec<Result<Accepted, SubmitError>> {
        let stored = tasks.into_iter().map(|mut task| async move {
            let stored = self.put_large(&mut task).await;
            task.without_stored_over(MAX_CARRIED_INPUT);
            stored.map(|()| task)
        });
        let stored: Vec<_> = stream::iter(stored).buffered(AT_ONCE).collect().await;
        let now = now_ms();
        let ready = stored.iter().flatten();
        let ready = ready.map(|task| (task, task.options.delay(now)));
        let mut sent = self
            .queue
            .send_all(&ready.collect::<Vec<_>>())
            .await
            .into_iter();
        let recorded = stored.into_iter().map(|stored| {
            let sent = match &stored {
                Ok(_) => sent.next().unwrap_or(Ok(())),
                Err(_) => Ok(()),
            };
            async move {
                let task = stored?;
                sent?;
                self.record(&task).await?;
                Ok(Accepted::of(&task))
            }
        });
        stream::iter(recorded).buffered(AT_ONCE).collect().await
    }
}
