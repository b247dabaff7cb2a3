//! The jobs: one file each, and the list below.

mod catalog;
mod fetch_urls;
mod process_data;

pub use catalog::{JobInfo, JobSchemas, TaskErrorSchema};

use crate::fetch::Fetcher;
use crate::tasks::registry::Registry;

/// Makes [`CATALOG`] and [`registry`] of one list. They stay two, so that a function that only
/// checks inputs links no job's code.
macro_rules! jobs {
    ($($module:ident::$job:ident = $new:expr),+ $(,)?) => {
        $(pub use $module::$job;)+

        /// All jobs, as their callers see them.
        pub const CATALOG: &[JobInfo] = &[$(JobInfo::of::<$job>()),+];

        /// All jobs that the worker runs. All jobs share one fetcher, since it holds the connections
        /// and bounds them together.
        pub fn registry(fetcher: &Fetcher) -> Registry {
            Registry::default()$(.with(made::<$job>($new, fetcher)))+
        }
    };
}

// Each job with a function that makes it of a `Fetcher`; of a job that fetches nothing, it is
// `|_| TheJob`.
jobs! {
    fetch_urls::FetchUrls = FetchUrls::new,
    process_data::ProcessData = ProcessData::new,
}

fn made<J>(new: fn(Fetcher) -> J, fetcher: &Fetcher) -> J {
    new(fetcher.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two jobs of one name make the registry panic.
    #[test]
    fn each_job_has_a_name_of_its_own() {
        let fetcher = Fetcher::public(Default::default(), Default::default());
        let jobs = registry(&fetcher);
        assert_eq!(jobs.names().count(), CATALOG.len());
        for job in CATALOG {
            assert!(jobs.find(job.name).is_some(), "{}", job.name);
        }
    }
}
