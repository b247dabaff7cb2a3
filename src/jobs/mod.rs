//! The jobs: one file each, and this list. A new job is a file, and a line in each list here.

mod fetch_urls;
mod process_data;

pub use fetch_urls::FetchUrls;
pub use process_data::ProcessData;

use crate::App;
use crate::config::ConfigError;
use crate::fetch::Fetcher;
use crate::tasks::registry::{JobInfo, Registry};

/// All jobs, as their callers see them.
pub const CATALOG: &[JobInfo] = &[JobInfo::of::<FetchUrls>(), JobInfo::of::<ProcessData>()];

/// All jobs that the worker runs.
///
/// # Errors
/// When a variable that a job needs is not set.
pub fn registry(app: &App) -> Result<Registry, ConfigError> {
    Ok(registry_of(app.fetcher()?))
}

/// One fetcher for all jobs, since it holds the connections and bounds them together.
fn registry_of(fetcher: Fetcher) -> Registry {
    Registry::default()
        .with(FetchUrls::new(fetcher.clone()))
        .with(ProcessData::new(fetcher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_see_the_jobs_that_there_are() {
        let fetcher = Fetcher::public(Default::default(), Default::default());
        let run: Vec<&str> = registry_of(fetcher).names().collect();
        let seen: Vec<&str> = CATALOG.iter().map(|job| job.name).collect();
        assert_eq!(run, seen);
    }
}
