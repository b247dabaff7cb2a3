//! The jobs: one file each, and this list. A new job is a file and a line here.

mod fetch_urls;
mod process_data;

pub use fetch_urls::FetchUrls;
pub use process_data::ProcessData;

use crate::App;
use crate::config::ConfigError;
use crate::tasks::registry::Registry;

/// All jobs that the worker runs.
///
/// # Errors
/// When a variable that a job needs is not set.
pub fn registry(app: &App) -> Result<Registry, ConfigError> {
    // One for all jobs, since it holds the connections and bounds them together.
    let fetcher = app.fetcher()?;
    Ok(Registry::default()
        .with(ProcessData::new(fetcher.clone()))
        .with(FetchUrls::new(fetcher)))
}
