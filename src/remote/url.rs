//! Bodies behind URLs.

use std::time::Duration;

use ::url::Url;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::MAX_PAYLOAD;
use super::answer::invalid;
use super::sign::Secrets;
use crate::clock::now_ms;
use crate::fetch::{FetchError, Fetched, Fetcher, Post};
use crate::tasks::job::{JobError, Retry};

/// The least wait for a host that asks for patience without a time (429).
const BUSY: Duration = Duration::from_secs(1);

/// Posts a request and gives the answer. `id` names the attempt, `time` is what is left of it.
///
/// # Errors
/// When the host was not reached, or did not answer with a body.
pub async fn call(
    fetcher: &Fetcher,
    secrets: &Secrets,
    url: &Url,
    id: &str,
    request: String,
    time: Duration,
) -> Result<Bytes, JobError> {
    let body = Bytes::from(request);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    secrets.sign(&mut headers, id, now_ms() / 1000, &body);
    let post = Post {
        headers: &headers,
        body: &body,
    };
    let posted = fetcher.post(url.as_str(), post, time, MAX_PAYLOAD).await;
    answer(posted.map_err(|error| not_answered(&error))?)
}

/// The body of an answer with status 200.
fn answer(answer: Fetched) -> Result<Bytes, JobError> {
    let after = |error: JobError| match answer.retry_after {
        Some(wait) => error.retry_after(wait),
        None => error,
    };
    let status = answer.status;
    let message = format!("the body's URL answered {status}");
    match status {
        200 => Ok(answer.body),
        201..=299 => Err(invalid(format_args!("its status is {status} and not 200"))),
        300..=399 => {
            let message = format!("{message}: redirects are not followed");
            Err(JobError::permanent("HttpError", message))
        }
        429 => {
            let wait = answer.retry_after.unwrap_or(BUSY);
            Err(JobError::transient("HttpError", message).with_retry(Retry::Wait(wait)))
        }
        408 | 500.. => Err(after(JobError::transient("HttpError", message))),
        _ => Err(JobError::permanent("HttpError", message)),
    }
}

/// The error of a request without an answer.
fn not_answered(error: &FetchError) -> JobError {
    let message = error.to_string();
    match error {
        FetchError::Dns
        | FetchError::Connect
        | FetchError::Tls(_)
        | FetchError::Timeout
        | FetchError::Interrupted
        | FetchError::Setup => JobError::transient("UrlUnreachable", message),
        FetchError::BodyTooLarge(_) | FetchError::HeadersTooLarge => {
            JobError::permanent("AnswerTooLarge", message)
        }
        FetchError::Protocol
        | FetchError::BadEncoding
        | FetchError::UnknownEncoding(_)
        | FetchError::TooManyEncodings(_) => invalid(message),
        _ => JobError::permanent("UrlRefused", message),
    }
}
