//! Event source mappings.
//!
//! The maximum concurrency of the queues' event source mappings comes from a parameter. The local
//! endpoints read a parameter of type Number as a string, and with a string as maximum concurrency
//! they poll no queue.

use serde_json::{Value, json};

use crate::aws::{Aws, expect};
use crate::error::{Context, Result};

/// Sets the maximum concurrency of each mapping as a number.
///
/// # Errors
/// When the endpoints refuse a call.
pub fn number_concurrency(aws: &Aws) -> Result<()> {
    const MAPPINGS: &str = "/2015-03-31/event-source-mappings/";
    let listing = expect(
        "the list of event source mappings",
        aws.lambda_get(MAPPINGS)?,
    )?;
    let listing: Value = serde_json::from_str(&listing).context("the event source mappings")?;
    for mapping in listing["EventSourceMappings"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let maximum = mapping["ScalingConfig"]["MaximumConcurrency"].as_str();
        let Some(maximum) = maximum.and_then(|text| text.parse::<u32>().ok()) else {
            continue;
        };
        let id = mapping["UUID"].as_str().unwrap_or_default();
        let body = json!({"ScalingConfig": {"MaximumConcurrency": maximum}});
        let answer = aws.lambda_put(&format!("{MAPPINGS}{id}"), &body)?;
        expect("the update of an event source mapping", answer)?;
    }
    Ok(())
}
