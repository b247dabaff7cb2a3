//! What surrounds the functions on one machine: no AWS account, no Docker.
//!
//! [`Stack::start`] brings all of it up and its `Drop` takes it down again. In
//! the order in which it happens:
//!
//! 1. [`setup`] makes sure of the tools (`ministack`, `cargo-lambda`),
//! 2. [`functions`] builds every function,
//! 3. [`upstream`] serves something to fetch,
//! 4. [`emulator`] starts the AWS endpoints, [`resources`] creates in them what
//!    [`template`] finds in `template.yaml`,
//! 5. [`functions`] runs the functions under `cargo lambda watch`, each inside
//!    [`runtime`], which does for it what Lambda does and the watcher does not,
//! 6. [`gateway`] takes HTTP requests, as API Gateway does on AWS, and has the
//!    authorizer where [`security`] finds it; [`keys`] makes API keys,
//! 7. [`resources`] connects the queue with the worker.
//!
//! [`deploy`] is the other way to run it: the real template, deployed into the
//! AWS endpoints, which then run the functions themselves.

pub mod aws;
pub mod cloudformation;
pub mod deploy;
pub mod emulator;
pub mod error;
pub mod functions;
pub mod gateway;
pub mod http;
pub mod keys;
pub mod process;
pub mod project;
pub mod resources;
pub mod runtime;
pub mod security;
pub mod setup;
pub mod stack;
pub mod template;
pub mod upstream;

pub use error::{Context, Error, Result};
pub use stack::{Logs, Options, Stack};
