//! Remote jobs: jobs whose bodies run in a Lambda function or behind a URL. `docs/REMOTE.md` has the request
//! and the answer.
//!
//! [`bodies`] reads which job runs where, [`job`] is such a job for the worker, over `request`, `answer`
//! and the two ways to a body: `function` and `url`. [`sign`] signs requests to URLs, [`progress`] makes and
//! reads the tokens with which a body reports its progress.

mod answer;
pub mod bodies;
mod function;
pub mod job;
pub mod progress;
mod request;
pub mod sign;
#[cfg(test)]
mod tests;
mod url;

/// The most bytes of an event and of an answer of a Lambda function ("Lambda quotas": 6 MB); the same holds
/// for a URL.
pub const MAX_PAYLOAD: usize = 6 * 1024 * 1024;
