//! Schedules: recurring rules that submit tasks.
//!
//! [`rule`] computes the times at which a schedule fires.

pub mod rule;
