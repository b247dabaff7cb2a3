//! The jobs: one file for each job, and the list below.

mod catalog;
mod fetch_urls;
mod process_data;

pub use catalog::{JobInfo, JobSchemas, TaskErrorSchema};

use crate::fetch::Fetcher;
use crate::tasks::registry::Registry;

/// Makes [`CATALOG`] and [`registry`] from one list. The two are separate, so that a function that
/// only checks inputs links no job's code.
macro_rules! jobs {
    ($($module:ident::$job:ident = $new:expr),+ $(,)?) => {
        $(pub use $module::$job;)+

        /// All jobs, as submitters see them.
        pub const CATALOG: &[JobInfo] = &[$(JobInfo::of::<$job>()),+];

        /// All jobs, for the worker. The jobs share one fetcher, because the fetcher bounds the
        /// connections of the whole process.
        pub fn registry(fetcher: &Fetcher) -> Registry {
            Registry::default()$(.with(made::<$job>($new, fetcher)))+
        }
    };
}

// Each job has a function that makes the job from a `Fetcher`: `|_| TheJob` for a job that fetches
// nothing.
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

    /// The registry panics if two jobs have the same name.
    #[test]
    fn job_names_are_unique() {
        let fetcher = Fetcher::public(Default::default(), Default::default());
        let jobs = registry(&fetcher);
        assert_eq!(jobs.names().count(), CATALOG.len());
        for job in CATALOG {
            assert!(jobs.find(job.name).is_some(), "{}", job.name);
        }
    }
}
