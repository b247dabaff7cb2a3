//! A job of the world whose body runs elsewhere: it asks for attempts, waits, moves on, and answers with
//! calls.

use futures_util::future::BoxFuture;

use super::*;
use crate::tasks::job::Retry;
use crate::tasks::registry::{AnyJob, Call, Ending, Output};
use crate::tasks::task::Next;

/// The name of the job.
pub const NAME: &str = "remote";

/// The outcomes that only this job has, beside those of [`Script`]: `a` asks for another attempt with another
/// tag, `w` waits once as if the attempt had not begun, `m` moves on to a message with the rest of the
/// outcomes, `c` gives a result with calls of its own, `d` refuses the message.
pub const OUTCOMES: [char; 5] = ['a', 'w', 'm', 'c', 'd'];

/// The difference of the tags of two attempts, of which the first asked for the second.
const NEXT_TAG: u8 = 10;

/// Attempts that have waited: task, run and number.
pub type Waited = Arc<Mutex<HashSet<(TaskId, u32, u32)>>>;

/// The job.
pub struct Remote {
    pub begun: Begun,
    pub waited: Waited,
}

/// The calls of an end: for a move, the outcomes of the next message.
pub fn calls_of(next: Option<&str>) -> Box<RawValue> {
    let calls = match next {
        Some(outcomes) => json!([{"send": outcomes}]),
        None => json!(["nothing"]),
    };
    RawValue::from_string(calls.to_string()).unwrap()
}

impl Remote {
    fn outcome(&self, call: &Call) -> Result<Output, JobError> {
        let wrapped: Value = serde_json::from_str(call.input.get()).unwrap();
        let script: Script = serde_json::from_value(wrapped["wrapped"].clone()).unwrap();
        let attempt = call.context.attempt;
        let at = usize::try_from(attempt).unwrap() - 1;
        let key = (call.task.id.clone(), call.task.run, attempt);
        let mut outcome = script.outcomes.chars().nth(at).unwrap_or('o');
        if outcome == 'w' {
            if self.waited.lock().unwrap().insert(key) {
                let wait = JobError::transient("Throttled", "later");
                return Err(wait.with_retry(Retry::Wait(BACKOFF)));
            }
            outcome = 'o';
        }
        let begun = (call.task.id.clone(), attempt, script.clone());
        self.begun.lock().unwrap().push(begun);
        let result = json!({"attempt": attempt, "tag": script.tag}).to_string();
        match outcome {
            'a' => {
                let tag = script.tag.wrapping_add(NEXT_TAG);
                let next = json!({"wrapped": Script { tag, ..script }});
                let next = Next {
                    input: Some(RawValue::from_string(next.to_string()).unwrap()),
                    origin: None,
                };
                let asked = JobError::transient("Asked", "again").with_next(next);
                Err(asked.with_retry(Retry::Asked(BACKOFF)))
            }
            't' => Err(JobError::transient("Transient", "again").retry_after(BACKOFF)),
            'p' => Err(JobError::permanent("Permanent", "never")),
            'd' => Err(JobError::permanent("Rejected", "refused").rejected()),
            'm' => Ok(Output {
                json: RawValue::NULL.to_owned(),
                calls: Some(calls_of(Some(
                    script.outcomes.get(at + 1..).unwrap_or_default(),
                ))),
                ending: Ending::Moved,
            }),
            'c' => Ok(Output {
                calls: Some(calls_of(None)),
                ..Output::from(result)
            }),
            _ => Ok(Output::from(result)),
        }
    }
}

impl AnyJob for Remote {
    fn is_remote(&self) -> bool {
        true
    }

    fn run(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Output, JobError>> {
        Box::pin(async move { self.outcome(&call) })
    }
}
