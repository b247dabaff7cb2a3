//! Tasks: one submission of a job each, from its acceptance to its end.
//!
//! [`state`] says what may happen to a task; [`submit`] accepts one; [`executor`] runs what the
//! queue delivers; [`job`] is what a job implements, [`registry`] how it is found by name, and
//! [`retry`] how long a failed attempt waits.

pub mod executor;
pub mod job;
pub mod registry;
pub mod result;
pub mod retry;
pub mod state;
pub mod submit;
