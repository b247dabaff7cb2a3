//! Tasks: one submission of a job each, from its acceptance to its end.
//!
//! [`request`] reads a submission, [`view`] shows a task, [`schemas`] shows the jobs.
//! [`task`] is a task as it travels; [`state`] says what may happen to it; [`submit`] accepts one;
//! [`executor`] runs what the queue delivers; [`job`] is what a job implements, [`context`] what it is
//! given beside its input, [`runner`] the thread it runs on, [`registry`] how it is found by name, and
//! [`retry`] how long a failed attempt waits. [`put_aside`] ends what nobody can work on, [`dead_letter`]
//! what the queues give up on.

pub mod context;
pub mod dead_letter;
pub mod executor;
pub mod job;
pub mod put_aside;
pub mod registry;
pub mod request;
pub mod result;
pub mod retry;
pub mod runner;
pub mod schemas;
pub mod state;
pub mod submit;
pub mod task;
pub mod view;
