//! What the end of a Celery task will set off, computed before the end is written: whether the end is possible,
//! the messages that follow, and the result, if the result is all.

use serde_json::value::RawValue;

use super::canvas::{Sender, Sent, on_success};
use super::ends::{Ending, Ends, place, seed};
use super::origin::Source;
use super::remote::call::{Few, read_few};
use super::store::MAX_RESULT;
use super::unlock::CHORD_UNLOCK;
use crate::json::parse_str;
use crate::tasks::format::Plan;
use crate::tasks::job::JobError;
use crate::tasks::record::End;
use crate::tasks::state::State;
use crate::tasks::task::Task;

/// The room in a result's item for what is not the value.
const ROOM: usize = 4 * 1024;

/// The largest JSON of a result in bytes that is put in one transaction with the end. DynamoDB counts each kB in
/// a transaction twice: for a small result that is less than the call which the transaction saves.
const MAX_TOGETHER: usize = 4 * 1024;

impl Ends {
    /// Computes what an end will set off. The messages of a success are computed; those of a failure are few.
    ///
    /// # Errors
    /// When a task cannot succeed with its result: the result does not fit its item, or cannot be handed on.
    pub fn plan(&self, task: &Task, end: &End) -> Result<Plan, JobError> {
        let Some(source) = Source::of(task) else {
            return Ok(Plan::Open);
        };
        if source.headers.task == CHORD_UNLOCK {
            return Ok(Plan::Open);
        }
        if let Some(calls) = &end.calls {
            return Ok(self.plan_calls(task, end, calls));
        }
        let value = match (end.state, &end.result) {
            (State::Completed, Some(value)) => Some(value.get()),
            (State::Failed, _) => None,
            _ => return Ok(Plan::Open),
        };
        if let Some(value) = value {
            check_size(&source, value)?;
            if let Some(sent) = self.sent(task, &source, end, value)? {
                return Ok(Plan::Computed(Box::new(sent)));
            }
        }
        Ok(match source.sets_off_only_result() {
            true => self.plan_result(task, &source, end),
            false => Plan::Open,
        })
    }

    /// What follows from a success; `None` if nothing does. The value must be readable for the body of a chord,
    /// too.
    fn sent(
        &self,
        task: &Task,
        source: &Source,
        end: &End,
        value: &str,
    ) -> Result<Option<Sent>, JobError> {
        let embed = &source.embed;
        let sends = !embed.callbacks.is_empty() || !embed.chain.is_empty();
        if !sends && embed.chord.is_none() {
            return Ok(None);
        }
        let value = parse_str(value).map_err(|error| {
            let message = format!("the result cannot be handed on: {error}");
            JobError::permanent("Unsendable", message)
        })?;
        let seed = seed(task, end);
        let trace = task.trace_in(end.attempt);
        let sender = Sender {
            trace: trace.as_ref(),
            ..self.sender(task.id.as_str(), source, &seed, end)
        };
        let sent = on_success(&sender, embed, &value);
        let sent = sent.map_err(|error| JobError::permanent("Unsendable", error.to_string()))?;
        let known = self.outbox.check(&sent.messages);
        known.map_err(|error| JobError::permanent("UnknownQueue", error.to_string()))?;
        Ok(Some(sent))
    }

    /// The plan of an end that sets off nothing but its result.
    fn plan_result(&self, task: &Task, source: &Source, end: &End) -> Plan {
        let json = self.result(task, source, end, &Ending::of(source, end), &[]);
        self.plan_put(
            self.results.key_of(task.id.as_str()),
            end,
            json.into_bytes(),
        )
    }

    /// The plan of an end with calls. Calls are seldom more than the task's own result.
    fn plan_calls(&self, task: &Task, end: &End, calls: &RawValue) -> Plan {
        // The result is in base64.
        if calls.get().len() > 2 * MAX_TOGETHER {
            return Plan::Open;
        }
        let key = self.results.key_of(task.id.as_str());
        match read_few(calls, &key) {
            Some(Few::None) => Plan::Nothing,
            Some(Few::Store(bytes)) => self.plan_put(key, end, bytes),
            None => Plan::Open,
        }
    }

    fn plan_put(&self, key: String, end: &End, bytes: Vec<u8>) -> Plan {
        let place = place(end.run, end.attempt, 2);
        match bytes.len() > MAX_TOGETHER {
            true => Plan::Open,
            false => Plan::Put(self.results.put_of(key, place, bytes)),
        }
    }
}

impl Source {
    /// Whether the end sets off the store of the result and nothing else, however the task ends.
    fn sets_off_only_result(&self) -> bool {
        let embed = &self.embed;
        let follows = [&embed.callbacks, &embed.errbacks, &embed.chain];
        self.stores_result() && !self.counts() && follows.iter().all(|links| links.is_empty())
    }
}

/// Checks that a result fits its item.
fn check_size(source: &Source, value: &str) -> Result<(), JobError> {
    let (bytes, most) = (value.len(), MAX_RESULT - ROOM);
    if !source.stores_result() || bytes <= most {
        return Ok(());
    }
    let message =
        format!("the result has {bytes} bytes, and an item of Celery's table takes {most}");
    Err(JobError::permanent("ResultTooLarge", message))
}
