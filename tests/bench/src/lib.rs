//! Measures this service side by side with what it replaces.

pub mod aws;
pub mod groups;
pub mod peers;
pub mod runtime;
pub mod series;
pub mod stage;
pub mod usage;
pub mod workload;
