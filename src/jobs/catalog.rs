//! Jobs as submitters see them: name, input check and schemas.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::tasks::job::Job;
use crate::tasks::registry::parse_input;

/// A job as submitters see it.
#[derive(Debug, Clone, Copy)]
pub struct JobInfo {
    /// The name that submissions use.
    pub name: &'static str,
    /// Parses an input as the job does.
    pub check: fn(&RawValue) -> serde_json::Result<()>,
    /// Makes the schemas of the job's input and output.
    pub schemas: fn() -> JobSchemas,
}

/// The schemas of a job's input and output.
#[derive(Clone)]
pub struct JobSchemas {
    /// The name of the input's schema.
    pub input: String,
    /// The name of the output's schema.
    pub output: String,
    /// Both schemas and the schemas that they refer to, by name.
    pub all: BTreeMap<String, RefOr<Schema>>,
}

impl JobInfo {
    /// The information on the job `J`.
    pub const fn of<J>() -> JobInfo
    where
        J: Job<Input: ToSchema, Output: ToSchema>,
    {
        JobInfo {
            name: J::NAME,
            check: |input| parse_input::<J>(input).map(drop),
            schemas: JobSchemas::of::<J>,
        }
    }
}

impl JobSchemas {
    fn of<J>() -> JobSchemas
    where
        J: Job<Input: ToSchema, Output: ToSchema>,
    {
        let (input, output) = (J::Input::name(), J::Output::name());
        let mut all = vec![
            (input.to_string(), J::Input::schema()),
            (output.to_string(), J::Output::schema()),
        ];
        J::Input::schemas(&mut all);
        J::Output::schemas(&mut all);
        JobSchemas {
            input: input.into_owned(),
            output: output.into_owned(),
            all: all.into_iter().collect(),
        }
    }
}

// The schema of `tasks::record::TaskError`: the engine is independent of OpenAPI.
/// Why a task failed.
#[derive(Debug, ToSchema)]
#[schema(as = TaskError)]
pub struct TaskErrorSchema {
    /// A word for programs.
    #[schema(rename = "type")]
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// Where the error arose, in the words of the language of a remote job's body.
    #[schema(required = false)]
    pub traceback: Option<String>,
    /// The module that defines the type, if a remote job's body names it.
    #[schema(required = false)]
    pub module: Option<String>,
}
