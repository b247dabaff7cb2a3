//! Workflows of Celery over the engine, in one process: the worker with Celery's format, an embedded
//! DynamoDB, and a simulated queue.

mod flow;
mod format;
mod store;
mod workflows;
mod world;
