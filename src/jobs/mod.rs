//! The jobs: one file each, and this list. A new job is a file, and a line in each list here.

mod catalog;
mod fetch_urls;
mod process_data;

pub use catalog::{JobInfo, JobSchemas, TaskErrorSchema};
pub use fetch_urls::FetchUrls;
pub use process_data::ProcessData;

use crate::fetch::Fetcher;
use crate::tasks::registry::Registry;

/// All jobs, as their callers see them.
pub const CATALOG: &[JobInfo] = &[JobInfo::of::<FetchUrls>(), JobInfo::of::<ProcessData>()];

/// All jobs that the worker runs. All jobs share one fetcher, since it holds the connections and
/// bounds them together.
pub fn registry(fetcher: Fetcher) -> Registry {
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
        let run: Vec<&str> = registry(fetcher).names().collect();
        let seen: Vec<&str> = CATALOG.iter().map(|job| job.name).collect();
        assert_eq!(run, seen);
    }
}
