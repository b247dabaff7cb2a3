//! Compares this service with the FastAPI application that it replaces.

pub mod aws;
pub mod files;
pub mod groups;
pub mod machine;
pub mod peers;
pub mod queue;
pub mod report;
pub mod runtime;
pub mod series;
pub mod stage;
pub mod submission;
pub mod tally;
pub mod usage;
pub mod workload;
