//! Everything that the functions need on one machine, without an AWS account and without Docker.
//!
//! [`Stack::start`] starts all parts, and its `Drop` stops them. The steps, in order:
//!
//! 1. [`setup`] installs the tools (`ministack`, `cargo-lambda`),
//! 2. [`functions`] builds every function,
//! 3. [`upstream`] serves the demo upstream,
//! 4. [`emulator`] starts the AWS endpoints, and [`resources`] creates there the tables and queues
//!    that [`template`] reads from `template.yaml`,
//! 5. [`functions`] runs the functions under `cargo lambda watch`, each inside [`runtime`], which
//!    adds the parts of Lambda's behaviour that the watcher lacks,
//! 6. [`gateway`] serves HTTP as API Gateway does, with the authorizer on the routes that
//!    [`security`] reads from the template; [`keys`] manages API keys,
//! 7. [`resources`] connects the queues with the worker, and [`invocations`] leads functions that invoke
//!    functions to the watcher or to the AWS endpoints.
//!
//! [`celery`] runs the task bodies of a Celery application in a Python function of the AWS endpoints.
//! [`celery_client`] runs a Celery client for tests and measurements.
//!
//! [`deploy`] is the other way to run the service: it deploys the real template into the AWS
//! endpoints, which then run the functions themselves.

pub mod aws;
pub mod celery;
pub mod celery_client;
pub mod cloudformation;
pub mod deploy;
pub mod emulator;
pub mod error;
pub mod functions;
pub mod gateway;
pub mod http;
pub mod invocations;
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
