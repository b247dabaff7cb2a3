//! Lists that are read page by page.

use crate::json::Int;

use super::FieldError;
use super::Request;
use super::params::{Checked, Rejection, gather};
use crate::store::Cursor;

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
    let loc = ["query".into(), "cursor".into()];
    let foreign = || {
        let msg = "Input should be a cursor from this list's Link header";
        Rejection::from(FieldError::new("value_error", loc, msg, text))
    };
    cursors.open(text).map(Some).ok_or_else(foreign)
}

/// The value of a `Link` header to the next page (RFC 8288): the same URL with the other
/// parameters kept.
pub fn next_link(request: &Request, cursor: &str) -> String {
    let kept = request.query_without("cursor");
    let separator = if kept.is_empty() { "" } else { "&" };
    format!(
        "<{}?{kept}{separator}cursor={cursor}>; rel=\"next\"",
        request.url_path()
    )
}
