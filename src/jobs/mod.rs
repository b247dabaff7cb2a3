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
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

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

    fn examples() -> [(&'static str, Value); 2] {
        [
            ("fetch_urls", json!({"urls": ["http://a.example/"]})),
            (
                "process_data",
                json!({"source_url": "http://a.example/", "format": "csv", "encoding": "utf-8",
                    "delimiter": ",", "decimal": ".", "nulls": ["-"]}),
            ),
        ]
    }

    fn is_accepted(job: &JobInfo, input: &Value) -> bool {
        let text = RawValue::from_string(input.to_string()).unwrap();
        (job.check)(&text).is_ok()
    }

    /// The check of a submission accepts `null` and refuses long lists exactly as the input's schema
    /// says: the test sets each property of an example to null, and makes each list longer than its
    /// bound.
    #[test]
    fn the_check_of_a_submission_agrees_with_the_schema() {
        let examples = examples();
        let mut checked = 0;
        for job in CATALOG {
            let (_, example) = examples.iter().find(|(name, _)| *name == job.name).unwrap();
            assert!(is_accepted(job, example), "{}", job.name);
            let schemas = serde_json::to_value((job.schemas)().all).unwrap();
            let input = schemas.as_object().unwrap().values().find(|schema| {
                let given = example.as_object().unwrap();
                let known = schema["properties"].as_object();
                known.is_some_and(|known| given.keys().all(|name| known.contains_key(name)))
            });
            for (name, schema) in input.unwrap()["properties"].as_object().unwrap() {
                check_property(job, example, name, schema);
                checked += 1;
            }
        }
        assert_eq!(checked, 7);
    }

    fn check_property(job: &JobInfo, example: &Value, name: &str, schema: &Value) {
        let mut changed = example.clone();
        changed[name] = Value::Null;
        let nullable = schema.to_string().contains("\"null\"");
        // Without a URL the object itself is the data, and data may be any value.
        let expected = nullable || name == "source_url";
        assert_eq!(is_accepted(job, &changed), expected, "{}.{name}", job.name);
        if let Some(most) = schema["maxItems"].as_u64() {
            let list = |count: u64| vec![example[name][0].clone(); count as usize];
            changed[name] = list(most).into();
            assert!(is_accepted(job, &changed), "{}.{name}", job.name);
            changed[name] = list(most + 1).into();
            assert!(!is_accepted(job, &changed), "{}.{name}", job.name);
        }
    }

    #[test]
    fn a_delimiter_of_two_characters_is_refused() {
        let wrong = json!({"source_url": "http://a.example/", "delimiter": ";;"});
        let process_data = CATALOG.iter().find(|job| job.name == "process_data");
        assert!(!is_accepted(process_data.unwrap(), &wrong));
    }
}
