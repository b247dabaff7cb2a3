//! An asynchronous web service on AWS Lambda: what its functions share.
//!
//! The modules in the order in which data flows through them:
//!
//! * [`config`] reads the environment, [`app`] builds a function's clients from it, those of
//!   [`aws`] among them, [`log`] starts
//!   the log; [`metrics`] counts what happens.
//! * [`http`] takes a request apart, checks it as FastAPI does, and answers; [`json`] is JSON as
//!   Python reads and writes it; [`routes`] answers what no route takes, [`docs`] shows the routes.
//! * [`auth`] knows callers, and refuses those who may not do what they ask for.
//! * [`items`] and [`users`] are the domain; [`ids`] are their ids; [`fetch`] makes outbound calls.
//! * [`tasks`] accepts and runs tasks: [`queue`] carries them, [`schedule`] keeps those of later,
//!   [`jobs`] are the types of work, [`profile`] is the statistics of one of them.
//! * [`store`] is the only DynamoDB code.
//!
//! The functions themselves, one file each, are in `functions/`.

pub mod app;
pub mod auth;
pub mod aws;
pub mod config;
pub mod docs;
pub mod fetch;
pub mod http;
pub mod ids;
pub mod items;
pub mod jobs;
pub mod json;
pub mod log;
pub mod metrics;
pub mod profile;
pub mod queue;
pub mod routes;
pub mod schedule;
pub mod store;
pub mod tasks;
pub mod users;

pub use app::App;
pub use lambda_runtime::Error;
