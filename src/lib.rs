//! An asynchronous web service on AWS Lambda: what its functions share.
//!
//! The modules are layers, in this order from the ground up. A module imports only modules above it in
//! this list; `tests/layers.rs` checks every import.
//!
//! * The ground: [`clock`], [`error`], [`json`] (JSON as Python reads and writes it).
//! * The environment: [`config`] has the variables, [`log`] the log, [`emf`] the metrics, [`aws`] the
//!   connections to AWS.
//! * [`dynamodb`]: rows of tables, and refused conditions.
//! * Capabilities that know no task and no route: [`fetch`] makes outbound HTTP calls, [`profile`]
//!   computes statistics of records.
//! * [`tasks`]: the engine. What tasks and jobs are, their table and queues, what can be done with a
//!   task, the worker, and the forms of messages (`tasks::wire`).
//! * [`jobs`]: one file for each job, and the list of jobs.
//! * The domain: [`documents`] are tables of JSON documents, [`items`] and [`users`] are such tables.
//! * [`auth`]: API keys, scopes, and the authorizer.
//! * [`web`]: requests, FastAPI's checks and errors, answers, and the loop to the Lambda runtime.
//!   [`consumer`] is the loop for queues.
//! * [`app`] builds all parts from the configuration.
//!
//! The functions, one file each, are in `functions/`.

pub mod app;
pub mod auth;
pub mod aws;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod documents;
pub mod dynamodb;
pub mod emf;
pub mod error;
pub mod fetch;
pub mod items;
pub mod jobs;
pub mod json;
pub mod log;
pub mod profile;
pub mod tasks;
pub mod users;
pub mod web;

pub use app::App;
pub use lambda_runtime::Error;
