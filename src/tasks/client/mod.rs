//! Operations on tasks: submit, find, list, wait, cancel, revoke, retry and report progress.
//!
//! Routes use these operations, and so does all other code outside the worker. Each type holds only
//! the AWS clients of its operations, because a function needs configuration and permissions for each
//! client: [`Reader`] reads, [`Submitter`] submits and retries, [`Canceller`] cancels and revokes,
//! [`Reporter`] reports progress, [`BulkClient`] cancels and retries all tasks that fit a filter. Every read takes a [`Viewer`](super::viewer::Viewer).

mod batch;
mod bulk;
mod cancel;
mod read;
mod report;
mod submit;

pub use bulk::{Bulk, BulkAction, BulkClient, Counts, Step};
pub use cancel::{CancelOutcome, Canceller};
pub use read::Reader;
pub use report::Reporter;
pub use submit::{Accepted, RetryOutcome, SubmitError, Submitter};

pub use super::store::Reported;

#[cfg(test)]
pub(crate) mod testing;
