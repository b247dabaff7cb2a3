//! The event source mappings of the queues.
//!
//! Their maximum concurrency comes from a parameter. The local endpoints take a
//! parameter for a text, even where it is a number, and then poll no queue.

use serde_json::{Value, json};

use crate::aws::{Aws, expect};
use crate::error::{Context, Result};

/// Makes numbers of the mappings' maximum concurrency.
///
/// # Errors
/// When the endpoints refuse.
pub fn number_concurrency(aws: &Aws) -> Result<()> {
    const MAPPINGS: &str = "/2015-03-31/event-source-mappings/";
    let listing = expect("a look at the mappings", aws.lambda_get(MAPPINGS)?)?;
    let listing: Value = serde_json::from_str(&listing).context("the mappings")?;
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
        expect("the change of a mapping", answer)?;
    }
    Ok(())
}
