//! Tasks of Celery whose bodies run in a Lambda function or behind a URL: what the function gets, and what
//! its answer has the worker send and store.

pub mod accept;
pub mod answer;
pub mod call;
pub mod kept;
mod member;
mod perform;
pub mod request;

pub use accept::{Accept, RemoteBodies};
pub use answer::answer;
pub use request::request;

#[cfg(test)]
mod tests;
