//! Workflows of Celery over the engine, in one process: the worker with Celery's format, an embedded
//! DynamoDB, and a simulated queue.

mod calls;
mod chords;
mod flow;
mod format;
mod lost;
mod origin;
mod places;
mod remote;
mod sealed;
mod store;
mod trace;
mod workflows;
pub(super) mod world;
