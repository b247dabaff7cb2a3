//! What has ended of a caller's own tasks, from their records.

use std::collections::BTreeMap;

use crate::tasks::counts::{Counts, minute_of};
use crate::tasks::record::{Attempt, TaskRecord};
use crate::tasks::state::State;

/// What has ended by minute, from the minute `from` on. The last run of each task is counted.
pub fn minutes(records: &[TaskRecord], from: u64) -> BTreeMap<u64, Counts> {
    let mut minutes = BTreeMap::<u64, Counts>::new();
    let mut at = |time: u64, job: &str, add: &dyn Fn(&mut Counts, &str)| {
        let minute = minute_of(time);
        if minute >= from {
            add(minutes.entry(minute).or_default(), job);
        }
    };
    for record in records {
        let job = record.job.as_deref().unwrap_or("unknown");
        if let (true, Some(time)) = (record.state.is_final(), record.finished_at) {
            at(time, job, &|counts, job| {
                counts.of(job).entered(record.state)
            });
        }
        for (number, attempt) in record.attempts.iter().enumerate() {
            let Some(ended) = attempt.ended_at else {
                continue;
            };
            let run = ended.saturating_sub(attempt.started_at);
            at(ended, job, &|counts, job| counts.of(job).run.record(run));
            if number == 0 && record.run == 1 {
                let due = record.options.eta.unwrap_or(0).max(record.created_at);
                let wait = attempt.started_at.saturating_sub(due);
                at(ended, job, &|counts, job| counts.of(job).wait.record(wait));
            }
            if is_retried(record, number, attempt) {
                at(ended, job, &|counts, job| {
                    counts.of(job).entered(State::Retrying)
                });
            }
        }
    }
    minutes
}

/// Whether another attempt follows a failed attempt.
fn is_retried(record: &TaskRecord, number: usize, attempt: &Attempt) -> bool {
    let is_last = number + 1 == record.attempts.len();
    let follows = !is_last || record.state == State::Retrying;
    follows && attempt.outcome.as_deref() == Some("failed")
}
