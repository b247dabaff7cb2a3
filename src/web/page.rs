//! Reads the page of a list from a request, and links to the next page.

use lambda_http::{Body, Request, Response};

use super::answer::ResponseExt;
use super::checks::{Checked, Rejection, gather};
use super::cursor::Cursor;
use super::error::FieldError;
use super::extract::Extract;
use crate::json::Int;

/// The default of `limit`.
const DEFAULT_LIMIT: i64 = 10;
/// The most rows of one page. A larger `limit` gives this number of rows and a link to the next page.
const MAX_LIMIT: i64 = 1_000;

/// The requested page of a list: `?limit=&cursor=`.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery {
    /// The most rows of the page.
    pub limit: usize,
    /// The id after which the page begins.
    pub after: Option<i64>,
}

impl PageQuery {
    /// Reads `limit` and `cursor`. A cursor that is not of this list is an error.
    pub fn read(request: &Request, cursors: &Cursor) -> Checked<PageQuery> {
        let (limit, after) = gather((limit(request), after(request, cursors)))?;
        Ok(PageQuery { limit, after })
    }
}

/// A limit of any size is valid, as in a Python slice of the whole list. A negative limit gives an empty
/// page.
fn limit(request: &Request) -> Checked<usize> {
    let limit: Int = request.query_int("limit", DEFAULT_LIMIT)?;
    let beyond = if limit.is_negative() { 0 } else { MAX_LIMIT };
    let limit = limit.as_i64().unwrap_or(beyond).clamp(0, MAX_LIMIT);
    Ok(usize::try_from(limit).unwrap_or(0))
}

fn after(request: &Request, cursors: &Cursor) -> Checked<Option<i64>> {
    let Some(text) = request.query_text("cursor") else {
        return Ok(None);
    };
    cursors
        .open(text)
        .map(Some)
        .ok_or_else(|| foreign_cursor(text))
}

/// The error of a cursor that is not of the list.
pub(super) fn foreign_cursor(text: &str) -> Rejection {
    let loc = ["query".into(), "cursor".into()];
    let msg = "Input should be a cursor from this list's Link header";
    FieldError::new("value_error", loc, msg, text).into()
}

/// Adds the `Link` header to the next page, if there is a next page.
pub fn with_next(
    response: Response<Body>,
    request: &Request,
    cursor: Option<String>,
) -> Response<Body> {
    match cursor {
        Some(cursor) => response.with_text(http::header::LINK, &next_link(request, &cursor)),
        None => response,
    }
}

/// The value of a `Link` header to the next page (RFC 8288): the same URL and parameters, with the new
/// cursor.
fn next_link(request: &Request, cursor: &str) -> String {
    let kept = request.query_without("cursor");
    let separator = if kept.is_empty() { "" } else { "&" };
    format!(
        "<{}?{kept}{separator}cursor={cursor}>; rel=\"next\"",
        request.url_path()
    )
}
