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

    /// The check of a submission accepts `null` and refuses long lists exactly as the input's schema
    /// says: the test sets each property of an example to null, and makes each list longer than its
    /// bound.
    #[test]
    fn the_check_of_a_submission_agrees_with_the_schema() {
        let examples = [
            ("fetch_urls", json!({"urls": ["http://a.example/"]})),
            (
                "process_data",
                json!({"source_url": "http://a.example/", "format": "csv", "encoding": "utf-8",
                    "delimiter": ",", "decimal": ".", "nulls": ["-"]}),
            ),
        ];
        let mut seen = 0;
        for job in CATALOG {
            let (_, example) = examples.iter().find(|(name, _)| *name == job.name).unwrap();
            let takes = |input: &Value| {
                let text = RawValue::from_string(input.to_string()).unwrap();
                (job.check)(&text).is_ok()
            };
            assert!(takes(example), "{}", job.name);
            let schemas = serde_json::to_value((job.schemas)().all).unwrap();
            let object = schemas.as_object().unwrap().values().find(|schema| {
                let given = example.as_object().unwrap();
                let known = schema["properties"].as_object();
                known.is_some_and(|known| given.keys().all(|name| known.contains_key(name)))
            });
            for (name, schema) in object.unwrap()["properties"].as_object().unwrap() {
                let mut changed = example.clone();
                changed[name] = Value::Null;
                let nullable = schema.to_string().contains("\"null\"");
                // Without a URL the object itself is the data, and data may be any value.
                let is_data = name == "source_url";
                assert_eq!(takes(&changed), nullable || is_data, "{}.{name}", job.name);
                if let Some(most) = schema["maxItems"].as_u64() {
                    let list = |count: u64| vec![example[name][0].clone(); count as usize];
                    changed[name] = list(most).into();
                    assert!(takes(&changed), "{}.{name}", job.name);
                    changed[name] = list(most + 1).into();
                    assert!(!takes(&changed), "{}.{name}", job.name);
                }
                seen += 1;
            }
        }
        assert_eq!(seen, 7);
        let wrong = json!({"source_url": "http://a.example/", "delimiter": ";;"});
        let text = RawValue::from_string(wrong.to_string()).unwrap();
        let process_data = CATALOG.iter().find(|job| job.name == "process_data");
        assert!((process_data.unwrap().check)(&text).is_err());
    }
}
