//! Lists that are read page by page.

use lambda_http::{Body, Request, Response};

use super::answer::ResponseExt;
use super::checks::{Checked, Rejection, gather};
use super::cursor::Cursor;
use super::error::FieldError;
use super::extract::Extract;
use crate::json::Int;

/// The default of `limit`.
const DEFAULT_LIMIT: i64 = 10;
/// The most rows of one page; a larger `limit` is answered with this many and a link to the rest.
const MAX_LIMIT: i64 = 1_000;

/// Which part of a list is asked for: `?limit=&cursor=`.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery {
    /// How many rows at most.
    pub limit: usize,
    /// The id after which the page begins.
    pub after: Option<i64>,
}

impl PageQuery {
    /// Reads `limit` and `cursor`. A cursor that this list did not give is an error.
    pub fn read(request: &Request, cursors: &Cursor) -> Checked<PageQuery> {
        let (limit, after) = gather((limit(request), after(request, cursors)))?;
        Ok(PageQuery { limit, after })
    }
}

/// As in a Python slice of the whole list, a limit of any size is no error; a negative one asks
/// for nothing.
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

/// The error of a cursor that the list did not give.
pub(super) fn foreign_cursor(text: &str) -> Rejection {
    let loc = ["query".into(), "cursor".into()];
    let msg = "Input should be a cursor from this list's Link header";
    FieldError::new("value_error", loc, msg, text).into()
}

/// Adds the `Link` header to the next page, if there is one.
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

/// The value of a `Link` header to the next page (RFC 8288): the same URL with the other
/// parameters kept.
fn next_link(request: &Request, cursor: &str) -> String {
    let kept = request.query_without("cursor");
    let separator = if kept.is_empty() { "" } else { "&" };
    format!(
        "<{}?{kept}{separator}cursor={cursor}>; rel=\"next\"",
        request.url_path()
    )
}
