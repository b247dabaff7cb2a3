//! The retry policy: how many attempts a task has, and the backoff between two attempts.

use std::time::Duration;

use super::job::{JobError, Retry};
use super::queue::MAX_VISIBILITY;
use super::task::MAX_WAIT;

/// The longest wait that a body may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(MAX_WAIT);

/// The retry policy of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: u32,
    /// The upper bound of the backoff after the first attempt; each further attempt doubles the bound.
    pub base: Duration,
    /// The upper bound of every backoff.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Three retries, as in Celery: within 2, 4 and 8 s. No backoff exceeds 10 minutes.
    fn default() -> RetryPolicy {
        RetryPolicy {
            max_retries: 3,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(600),
        }
    }
}

impl RetryPolicy {
    /// The policy with the submission's number of retries, if the submission sets a number.
    pub fn with_max_retries(self, max_retries: Option<u32>) -> RetryPolicy {
        RetryPolicy {
            max_retries: max_retries.unwrap_or(self.max_retries),
            ..self
        }
    }

    /// The wait after attempt number `attempt` (from 1) failed with `error`; `None` if no attempt
    /// follows. The wait is at most [`MAX_VISIBILITY`], and a year if the body asked for the wait: the
    /// message is then delivered in between. `random` lies between 0 and 1.
    pub fn delay(&self, attempt: u32, error: &JobError, random: f64) -> Option<Duration> {
        let is_last = attempt > self.max_retries;
        let delay = match error.retry() {
            Retry::Asked(delay) | Retry::Wait(delay) => return Some(delay.min(LONGEST_ASKED)),
            Retry::No => return None,
            _ if is_last => return None,
            Retry::Backoff => self.backoff(attempt).mul_f64(random.clamp(0.0, 1.0)),
            Retry::After(delay) => delay,
        };
        Some(delay.min(MAX_VISIBILITY))
    }

    /// The backoff before jitter. Full jitter multiplies it by a random factor: of all kinds of jitter
    /// it needs the fewest calls under contention ("Exponential Backoff And Jitter", AWS Architecture
    /// Blog).
    fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_retries: 40,
            base: Duration::from_secs(2),
            cap: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_backoff_doubles_up_to_its_cap() {
        let error = JobError::transient("x", "x");
        let seconds = |attempt| policy().delay(attempt, &error, 1.0).unwrap().as_secs();
        assert_eq!([1, 2, 3, 5, 6, 40].map(seconds), [2, 4, 8, 32, 60, 60]);
        assert_eq!(policy().delay(3, &error, 0.0), Some(Duration::ZERO));
        assert_eq!(policy().delay(3, &error, 0.5), Some(Duration::from_secs(4)));
    }

    #[test]
    fn attempts_are_bounded() {
        let error = JobError::transient("x", "x");
        assert!(policy().delay(40, &error, 0.5).is_some());
        assert_eq!(policy().delay(41, &error, 0.5), None);
        let once = RetryPolicy {
            max_retries: 0,
            ..policy()
        };
        assert_eq!(once.delay(1, &error, 0.5), None);
    }

    #[test]
    fn a_permanent_error_is_not_retried_and_a_job_may_set_its_own_delay() {
        assert_eq!(policy().delay(1, &JobError::permanent("x", "x"), 0.5), None);
        let asked = |seconds| {
            let error = JobError::transient("x", "x").retry_after(Duration::from_secs(seconds));
            policy().delay(1, &error, 0.5).unwrap().as_secs()
        };
        assert_eq!(asked(7), 7);
        // Less than the 12 hours that SQS counts from the receipt.
        assert_eq!(asked(1_000_000), 39_600);
    }
}
