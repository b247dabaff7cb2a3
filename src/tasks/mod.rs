//! Tasks: one submission of a job each, from its acceptance to its end.
//!
//! The engine knows no HTTP, no OpenAPI and no event of Lambda's.
//!
//! * What a task is: [`task`] as it is sent, [`state`] with what may happen to it, [`record`] as it is
//!   stored; [`viewer`] is who may see it.
//! * What a job is: [`job`] is the trait, [`registry`] finds jobs by name, [`retry`] is the backoff,
//!   [`context`] is what a job is given beside its input.
//! * What carries tasks: [`store`] is the table, [`queue`] the queues, [`delay`] the one-time schedules
//!   of tasks that are due later, [`wire`] the form of a message.
//! * What is done with tasks: [`client`] submits, finds, lists, cancels and retries; [`worker`] runs what
//!   the queues deliver; [`metrics`] counts.

pub mod client;
pub mod context;
pub mod delay;
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
