//! Celery: the messages of its clients and workers, the items of its DynamoDB table of results, and what a
//! task's end sends on.
//!
//! [`format`](mod@format) makes tasks of messages, plans what their ends set off (`plan`) and performs it, by
//! [`ends`], over the table ([`store`]) and the queues ([`outbox`]). [`apply`] submits tasks as clients do.
//! [`control`] answers the commands of remote control. All
//! other modules are formats, without any call to AWS.
//!
//! The reference is Celery 5.7 with kombu 5.7; messages of Celery 5.2 and later are read. The
//! formats have no document, so the tests compare with messages and items that Celery itself wrote
//! (`tests/celery/vectors/`).

pub mod apply;
pub mod arguments;
pub mod builtins;
pub mod canvas;
mod chords;
pub mod compression;
pub mod control;
pub mod encode;
pub mod ends;
mod envelope;
pub mod format;
mod generation;
pub mod headers;
pub mod letter;
pub mod message;
pub mod origin;
pub mod outbox;
pub mod peek;
mod plan;
pub mod python;
pub mod queue_name;
pub mod refused;
pub mod remote;
pub mod result;
pub mod signature;
pub mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod time;
pub mod typed;
mod unlock;
pub mod workflow;

pub use headers::Headers;
pub use message::{Embed, Message, decode};
pub use refused::{Kind, Refused};
