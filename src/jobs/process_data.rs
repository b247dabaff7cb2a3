//! `process_data`: to come.
use crate::fetch::Fetcher;
use crate::json::Json;
use crate::tasks::job::{Job, JobError, TaskContext};

/// Profiles JSON.
pub struct ProcessData {
    _fetcher: Fetcher,
}

impl ProcessData {
    /// Reads sources with `fetcher`.
    pub fn new(fetcher: Fetcher) -> ProcessData {
        ProcessData { _fetcher: fetcher }
    }
}

impl Job for ProcessData {
    const NAME: &'static str = "process_data";
    type Input = Json;
    type Output = Json;

    async fn run(&self, input: Json, _: &TaskContext) -> Result<Json, JobError> {
        Ok(input)
    }
}
