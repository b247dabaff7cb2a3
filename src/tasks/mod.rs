//! Tasks: one submission of a job each, from its acceptance to its end.
//!
//! The engine is independent of HTTP, of OpenAPI and of Lambda's events.
//!
//! * Tasks: [`id`] is a task's id, [`task`] a task in its message, [`record`] a task in the table,
//!   [`state`] the states and events; [`viewer`] decides who may see a task.
//! * Jobs: [`job`] is the trait, [`registry`] finds jobs by name, [`retry`] is the backoff, [`context`] is
//!   a job's view of its task.
//! * Transport and storage: [`store`] is the table, [`queue`] the queues, [`delay`] the one-time
//!   schedules of tasks that are due later, [`wire`] the format of a message, [`format`](mod@format) the
//!   place for other formats.
//! * Operations: [`client`] submits, finds, lists, cancels and retries tasks; [`worker`] runs the tasks
//!   of the queues; [`metrics`] counts them, [`counts`] keeps the numbers, and [`depths`] counts the queues' messages.

pub mod client;
pub mod context;
pub mod counts;
pub mod delay;
pub mod depths;
mod fields;
pub mod format;
pub mod id;
pub mod job;
pub mod metrics;
pub mod queue;
pub mod record;
pub mod registry;
pub mod retry;
pub mod state;
pub mod store;
pub mod task;
pub mod viewer;
pub mod wire;
pub mod worker;
