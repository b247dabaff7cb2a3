//! An asynchronous web service on AWS Lambda.

pub mod fetch;
pub mod json;
pub mod profile;
