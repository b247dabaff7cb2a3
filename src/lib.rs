//! An asynchronous web service on AWS Lambda: the library that all of its functions share.
//!
//! The modules are layers, listed from the ground up. A module imports only modules listed above it.
//! `tests/layers.rs` checks every import.
//!
//! * The ground: [`clock`], [`error`], [`json`] (JSON as Python reads and writes it).
//! * The environment: [`config`] reads environment variables, [`log`] starts the log, [`emf`] writes
//!   metrics, [`aws`] connects to AWS.
//! * [`dynamodb`]: rows of tables, and failed conditional writes.
//! * Capabilities without tasks and routes: [`fetch`] makes outbound HTTP calls, [`invoke`] invokes
//!   Lambda functions, [`profile`] computes statistics of records.
//! * [`tasks`]: the engine. The types of tasks and jobs, their table and queues, the operations on a
//!   task (`tasks::client`), the worker, and the formats of messages (`tasks::wire`).
//! * [`celery`]: Celery's messages, results, workflows and remote control.
//! * [`remote`]: jobs whose bodies run in Lambda functions or behind URLs.
//! * [`schedules`]: recurring rules, their rows, and the ticker that submits their tasks.
//! * [`stats`]: numbers of tasks, queues and schedules for an operator.
//! * [`jobs`]: one file for each job, and the list of jobs.
//! * The domain: [`documents`] stores JSON documents in a table, [`items`] and [`users`] are two such
//!   tables.
//! * [`auth`]: API keys, scopes, and the authorizer.
//! * [`web`]: requests, FastAPI's checks and errors, answers, and the loop of a function with a route.
//!   [`consumer`] is the loop of a function with a queue or a topic.
//! * [`app`] builds the parts of each function from the configuration.
//!
//! The functions, one file each, are in `functions/`.
//!
//! Where additions go:
//!
//! * Another wire format: a module beside [`celery`] implements `tasks::format::Format`, which makes a task
//!   of a message and performs what the task's end sets off. [`app`] gives the format to the worker and to
//!   the consumer of undelivered messages.
//! * Another form of a schedule's rule: a variant of [`schedules::rule::Spec`]. `tasks::delay` is for
//!   one-time delays only.
//! * A dashboard number: `tasks::metrics` counts the number, `tasks::counts` has its attribute, and [`stats`]
//!   reads it for the route in [`web`].

pub mod app;
pub mod auth;
pub mod aws;
pub mod celery;
pub mod clock;
pub mod config;
pub mod consumer;
pub mod documents;
pub mod dynamodb;
pub mod emf;
pub mod error;
pub mod fetch;
pub mod invoke;
pub mod items;
pub mod jobs;
pub mod json;
pub mod log;
pub mod profile;
pub mod remote;
pub mod schedules;
pub mod stats;
pub mod tasks;
pub mod users;
pub mod web;

pub use app::App;
pub use lambda_runtime::Error;
