//! What can be done with tasks: submit, find, list, wait, cancel and retry.
//!
//! Routes call these operations, and so does everything else that handles tasks from outside the
//! worker. Each type holds only the parts of AWS that its operations call, since a function needs
//! configuration and rights for each of them: [`Reader`] reads, [`Submitter`] submits and retries,
//! [`Canceller`] cancels. Every read takes a [`Viewer`](super::viewer::Viewer).

mod cancel;
mod read;
mod submit;

pub use cancel::{Canceller, Cancelling};
pub use read::Reader;
pub use submit::{Accepted, Retrying, SubmitError, Submitter};
