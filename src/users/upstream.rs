//! The service that users are read through.

use std::time::Duration;

use crate::fetch::{FetchError, Fetcher, Limits};
use crate::json::{self, Json};

/// The largest user that an upstream may answer: what fits a row of a table (400 KB).
const MAX_UPSTREAM_BODY: usize = 390 * 1024;

/// The service that users are read through.
pub struct Upstream {
    base: String,
    fetcher: Fetcher,
}

impl Upstream {
    /// The upstream at `base`; one call may take `timeout`.
    ///
    /// # Errors
    /// When `base` cannot be fetched from, such as one with credentials in it.
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

    /// The user's text, or `None` where the upstream has none.
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
    /// The upstream answered with another status than 200, 404 or 410.
    #[error("the upstream answered with status {0}")]
    Status(u16),
    /// The answer's body is not a JSON object.
    #[error("the upstream's answer is not a JSON object")]
    NotAnObject,
}
