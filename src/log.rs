//! Structured logs: JSON on Lambda, text elsewhere. Each line has the request id, from the span that the
//! Lambda runtime opens for an invocation.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Config;

/// Starts logging to standard output. Called once, before anything else. The level is `info` if the
/// configured level cannot be parsed.
pub fn init(config: &Config) {
    let info = Targets::new().with_default(LevelFilter::INFO);
    let levels = config.log_level().parse::<Targets>().unwrap_or(info);
    let lines = fmt::layer().with_target(false);
    let lines = if config.json_logs() {
        lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed()
    } else {
        lines.with_ansi(false).compact().boxed()
    };
    // An error means that logging has been started before, which is fine.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(levels))
        .try_init();
}
