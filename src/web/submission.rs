//! `POST /tasks/` and `POST /tasks/batch`: reads and checks submissions.

pub(super) mod options;

use lambda_http::Request;
use ring::digest::{SHA256, digest};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::checks::{Checked, Rejection, pydantic};
use super::error::{FieldError, HttpError, Loc};
use super::extract::Extract;
use crate::clock::now_ms;
use crate::documents;
use crate::jobs::JobInfo;
use crate::json::{Json, Object};
use crate::remote::bodies::Bodies;
use crate::tasks::task::{Options, Task};

pub use options::{OptionsSchema, PrioritySchema};

/// The header that makes a submission safe to repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest name of a remote job, in bytes: as in a message.
const MAX_NAME: usize = 255;
/// The longest key, in characters.
const MAX_KEY: usize = 255;
/// The namespace of the ids of idempotency keys (a random UUID).
const KEYS: Uuid = Uuid::from_u128(0x8a1d_3c1e_5f0b_4d7e_9a53_0d2f_8a9c_1b7e);

/// Makes the ids of submissions with an idempotency key. The same caller and key give the same id.
#[derive(Debug, Clone, Copy)]
pub struct SubmissionIds(Uuid);

impl SubmissionIds {
    /// Ids that can be computed only with `secret`. Without a secret, a caller's name and key are enough
    /// to compute the id.
    pub fn new(secret: Option<&str>) -> SubmissionIds {
        let namespace = secret.map(|secret| Uuid::new_v5(&KEYS, secret.as_bytes()));
        SubmissionIds(namespace.unwrap_or(KEYS))
    }

    /// The id of a caller's key. The length of the name keeps the keys of callers apart.
    fn of(self, caller: Option<&str>, key: &str) -> Uuid {
        let caller = caller.unwrap_or_default();
        let name = format!("{}:{caller}:{key}", caller.len());
        Uuid::new_v5(&self.0, name.as_bytes())
    }
}

/// The jobs that a caller may name: those of the service, and those with a remote body.
pub type Jobs<'a> = (&'static [JobInfo], &'a Bodies);

/// A submission, checked against its job.
#[derive(Debug)]
pub struct Submission {
    job: String,
    input: Box<RawValue>,
    options: Options,
    /// The idempotency key, and the fingerprint of the submission.
    key: Option<(String, String)>,
}

/// A task to be submitted.
#[derive(Debug, ToSchema)]
#[schema(as = NewTask, example = json!({
    "job": "process_data",
    "input": {"values": [1, 2, 3]},
    "options": {"countdown": 5, "max_retries": 2},
}))]
pub struct NewTaskSchema {
    /// The name of the job. `GET /jobs/` lists all jobs.
    pub job: String,
    /// The input of the job. `GET /jobs/` has its schema.
    #[schema(value_type = serde_json::Value, required = false)]
    pub input: Json,
    /// How to run the task.
    #[schema(required = false)]
    pub options: OptionsSchema,
}

impl Submission {
    /// Reads a submission for one of `jobs` or of the remote jobs in `bodies`, at the time `now` in
    /// milliseconds since the Unix epoch. The input of a remote job is not checked.
    pub fn read(
        request: &Request,
        jobs: &'static [JobInfo],
        bodies: &Bodies,
        now: u64,
    ) -> Checked<Submission> {
        let header = |_: &Object| key_of_header(request);
        request.body_as_lossy(|body| Submission::check(body, (jobs, bodies), now, header))
    }

    /// Checks the body of a submission. `key_of` finds the idempotency key.
    pub(super) fn check(
        body: Json,
        jobs: Jobs<'_>,
        now: u64,
        key_of: impl FnOnce(&Object) -> Found<Option<String>>,
    ) -> Checked<Submission> {
        let body = body.into_object();
        let body = body.map_err(|other| pydantic::model(["body".into()], other))?;
        let mut errors = Vec::new();
        let job = keep(&mut errors, job(&body, jobs));
        let known = job.as_ref().and_then(|(_, job)| *job);
        let input = keep(&mut errors, input(&body, known));
        let options = keep(&mut errors, options::read(&body, now));
        let key = keep(&mut errors, key_of(&body));
        match (job, input, options, key) {
            (Some((job, _)), Some(input), Some(options), Some(key)) if errors.is_empty() => {
                Ok(Submission {
                    job,
                    input,
                    options,
                    key: key.map(|key| (key, fingerprint(&body))),
                })
            }
            _ => Err(Rejection::Fields(errors)),
        }
    }

    /// The task of the submission. With an idempotency key, `ids` makes the id of the caller and the key.
    pub fn task(self, ids: SubmissionIds, caller: Option<&str>, now: u64) -> Task {
        let id = match &self.key {
            Some((key, _)) => ids.of(caller, key),
            None => Uuid::new_v4(),
        };
        let mut task = Task::new(id, &self.job, self.input, now).with_options(self.options);
        task.fingerprint = self.key.map(|(_, fingerprint)| fingerprint);
        task.caller = caller.map(str::to_owned);
        task
    }
}

/// A task of `job` that runs at once, with any object as its input. A number of the input that is not
/// finite becomes null.
///
/// # Errors
/// None in practice: every object can be written as JSON.
pub fn new_task(job: &'static str, input: Object, caller: Option<&str>) -> Result<Task, HttpError> {
    let input = RawValue::from_string(documents::to_text_lossy(input));
    let input = input.map_err(HttpError::unavailable)?;
    let mut task = Task::new(Uuid::new_v4(), job, input, now_ms());
    task.caller = caller.map(str::to_owned);
    Ok(task)
}

/// A value, or its errors.
pub(super) type Found<T> = Result<T, Vec<FieldError>>;

/// The value, or `None`. The errors are added to the list.
pub(super) fn keep<T>(errors: &mut Vec<FieldError>, found: Found<T>) -> Option<T> {
    found.map_err(|found| errors.extend(found)).ok()
}

/// The name of the job, and what is known of it; a remote job is known by its name alone.
pub(super) fn job(
    body: &Object,
    (jobs, bodies): Jobs<'_>,
) -> Found<(String, Option<&'static JobInfo>)> {
    let loc: [Loc; 2] = ["body".into(), "job".into()];
    let given = match body.get("job") {
        None => return Err(vec![pydantic::missing(loc, Json::Object(body.clone()))]),
        Some(Json::String(name)) => name,
        Some(other) => return Err(vec![pydantic::string(loc, other.clone())]),
    };
    let found = jobs.iter().find(|job| job.name == given);
    if found.is_some() || (given.len() <= MAX_NAME && bodies.find(given).is_some()) {
        return Ok((given.clone(), found));
    }
    let names = jobs.iter().map(|job| job.name);
    let patterns = bodies.iter().map(|body| body.pattern.as_str());
    let names: Vec<&str> = names.chain(patterns).collect();
    Err(vec![pydantic::literal(loc, &names, given.as_str().into())])
}

/// The input, checked by the job's input type. The default is an empty object, for jobs without input.
pub(super) fn input(body: &Object, job: Option<&JobInfo>) -> Found<Box<RawValue>> {
    let wrong = |reason: String, input: &Json| {
        let loc = ["body".into(), "input".into()];
        vec![pydantic::value(loc, &reason, input.clone())]
    };
    let empty = Json::Object(Object::new());
    let given = body.get("input").unwrap_or(&empty);
    let text = given
        .to_text()
        .map_err(|error| wrong(error.to_string(), &Json::Null))?;
    let input = RawValue::from_string(text).map_err(|error| wrong(error.to_string(), given))?;
    let checked = job.map_or(Ok(()), |job| (job.check)(&input));
    checked
        .map(|()| input)
        .map_err(|error| wrong(error.to_string(), given))
}

/// A hash of a submission. Equal submissions have the same fingerprint: the order of keys, absent options
/// and options of null make no difference.
fn fingerprint(body: &Object) -> String {
    let member = |name: &str| body.get(name).cloned();
    let options = match member("options") {
        Some(Json::Object(options)) => {
            let mut given = Object::new();
            for (name, value) in options.iter().filter(|(_, value)| !value.is_null()) {
                given.insert(name.as_str(), value.clone());
            }
            given
        }
        _ => Object::new(),
    };
    let mut canonical = Json::array([
        member("job").unwrap_or_default(),
        member("input").unwrap_or(Json::Object(Object::new())),
        Json::Object(options),
    ]);
    canonical.sort_keys();
    // The check of the input refuses a number that is not finite.
    let text = canonical.to_text().unwrap_or_default();
    hex::encode(digest(&SHA256, text.as_bytes()))
}

/// The idempotency key in the header of a request.
fn key_of_header(request: &Request) -> Found<Option<String>> {
    let Some(key) = request.header(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = key.into_owned();
    checked_key(key, ["header".into(), IDEMPOTENCY_KEY.into()]).map(Some)
}

/// An idempotency key of a valid length.
pub(super) fn checked_key(key: String, loc: impl IntoIterator<Item = Loc>) -> Found<String> {
    if key.is_empty() || key.chars().count() > MAX_KEY {
        let reason = format!("a key has 1 to {MAX_KEY} characters");
        return Err(vec![FieldError::new(
            "value_error",
            loc,
            format!("Value error, {reason}"),
            &*key,
        )]);
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
