//! Structured logs: JSON on Lambda, text elsewhere; each line carries the request id through the
//! span that the Lambda runtime opens for an invocation.

use tracing_subscriber::EnvFilter;

use crate::config::Config;

/// Starts logging to standard output. Called once, before anything else.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(config.log_level()).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false);
    // An error here means that logging runs already, which is what we want.
    let _ = if config.json_logs() {
        lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init()
    } else {
        lines.with_ansi(false).compact().try_init()
    };
}
