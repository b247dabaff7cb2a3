//! The upstream service of users.

use std::time::Duration;

use crate::fetch::{FetchError, Fetcher, Limits};
use crate::json::{self, Json};

/// The largest body of an upstream's answer: a user must fit a row of the table (400 KB).
const MAX_UPSTREAM_BODY: usize = 390 * 1024;

/// The upstream service of users.
pub struct Upstream {
    base: String,
    fetcher: Fetcher,
}

impl Upstream {
    /// The upstream at `base`; one call may take `timeout`.
    ///
    /// # Errors
    /// When `base` is no URL to fetch from, for example a URL with credentials.
    pub fn new(base: &str, timeout: Duration) -> Result<Upstream, FetchError> {
        let limits = Limits {
            timeout,
            max_body: MAX_UPSTREAM_BODY,
            ..Limits::default()
        };
        let fetcher = Fetcher::trusted(limits, base)?;
        Ok(Upstream {
            base: base.trim_end_matches('/').to_owned(),
            fetcher,
        })
    }

    /// The user's JSON text, or `None` if the upstream has no such user.
    pub(super) async fn read(&self, id: i64) -> Result<Option<String>, UpstreamError> {
        let fetched = self
            .fetcher
            .get(&format!("{}/users/{id}", self.base))
            .await?;
        match fetched.status {
            200 => {}
            404 | 410 => return Ok(None),
            status => return Err(UpstreamError::Status(status)),
        }
        let user = json::parse(&fetched.body)
            .ok()
            .and_then(|user| user.into_object().ok());
        let text = user.and_then(|user| Json::Object(user).to_text().ok());
        text.map(Some).ok_or(UpstreamError::NotAnObject)
    }
}

/// Why the upstream gave no user.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The call failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The upstream answered with a status other than 200, 404 and 410.
    #[error("the upstream answered with status {0}")]
    Status(u16),
    /// The answer's body is not a JSON object.
    #[error("the upstream's answer is not a JSON object")]
    NotAnObject,
}
