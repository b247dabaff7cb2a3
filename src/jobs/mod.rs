//! The jobs: one file for each job, and the list below. [`ChangeTasks`] is not in the list, because callers
//! cannot submit it themselves.

mod catalog;
mod change_tasks;
mod fetch_urls;
mod process_data;

pub use catalog::{JobInfo, JobSchemas, TaskErrorSchema};
pub use change_tasks::{BulkSeal, ChangeTasks};

use crate::fetch::Fetcher;
use crate::tasks::job::Job;
use crate::tasks::registry::Registry;

/// Makes [`CATALOG`] and [`registry`] from one list. The two are separate, so that a function that
/// only checks inputs links no job's code.
macro_rules! jobs {
    ($($module:ident::$job:ident = $new:expr),+ $(,)?) => {
        $(pub use $module::$job;)+

        /// All jobs, as submitters see them.
        pub const CATALOG: &[JobInfo] = &[$(JobInfo::of::<$job>()),+];

        /// The names of all jobs, with their names in other formats.
        pub fn names() -> impl Iterator<Item = &'static str> {
            let names = [$((<$job as Job>::NAME, <$job as Job>::ALIASES)),+];
            let names = names.into_iter();
            names.flat_map(|(name, others)| others.iter().copied().chain([name]))
        }

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
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::tasks::job::Job;

    /// The registry panics if two jobs have the same name.
    #[test]
    fn job_names_are_unique() {
        let fetcher = Fetcher::public(Default::default(), Default::default());
        let jobs = registry(&fetcher);
        let aliases = [FetchUrls::ALIASES, ProcessData::ALIASES].concat();
        assert_eq!(jobs.names().count(), CATALOG.len() + aliases.len());
        for job in CATALOG {
            assert!(jobs.find(job.name).is_some(), "{}", job.name);
        }
    }

    /// The schemas that `name` refers to, and `name` itself, that have an example.
    fn with_examples(schemas: &Value, name: &str, found: &mut Vec<Value>) {
        let schema = &schemas[name];
        if schema["example"].is_object() {
            found.push(schema.clone());
        }
        let text = schema.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            with_examples(schemas, name, found);
        }
    }

    /// The check of a submission accepts `null` and refuses long lists exactly as the schemas of the
    /// input say: the test sets each property of a schema's example to null, and makes each list
    /// longer than its bound.
    #[test]
    fn the_check_of_a_submission_agrees_with_the_schema() {
        for job in CATALOG {
            let takes = |input: &Value| {
                let text = RawValue::from_string(input.to_string()).unwrap();
                (job.check)(&text).is_ok()
            };
            let schemas = (job.schemas)();
            let all = serde_json::to_value(schemas.all).unwrap();
            let mut examples = Vec::new();
            with_examples(&all, &schemas.input, &mut examples);
            for schema in examples {
                let example = &schema["example"];
                assert!(takes(example), "{}: {example}", job.name);
                for (name, property) in schema["properties"].as_object().unwrap() {
                    let mut changed = example.clone();
                    changed[name] = Value::Null;
                    let nullable = property.to_string().contains("\"null\"");
                    // Without a URL the object itself is the data, and data may be any value.
                    let is_data = job.name == ProcessData::NAME && name == "source_url";
                    assert_eq!(takes(&changed), nullable || is_data, "{}.{name}", job.name);
                    if let Some(most) = property["maxItems"].as_u64() {
                        let list = |count: u64| vec![example[name][0].clone(); count as usize];
                        changed[name] = list(most).into();
                        assert!(takes(&changed), "{}.{name}", job.name);
                        changed[name] = list(most + 1).into();
                        assert!(!takes(&changed), "{}.{name}", job.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_option_of_a_source_is_refused() {
        let check = JobInfo::of::<ProcessData>().check;
        let source = |option: &str, value: Value| {
            let mut input = json!({"source_url": "http://a.example/"});
            input[option] = value;
            check(&RawValue::from_string(input.to_string()).unwrap()).is_ok()
        };
        assert!(source("delimiter", json!(";")) && !source("delimiter", json!(";;")));
        assert!(source("format", json!("csv")) && !source("format", json!("xml")));
        assert!(source("nulls", json!(["-"])) && !source("nulls", json!("-")));
        assert!(!source("encoding", json!("utf-99")) && !source("decimal", json!("x")));
    }
}
