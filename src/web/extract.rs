//! Typed extractors for the parts of `lambda_http`'s [`Request`], with the errors of FastAPI.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use http::header::{AsHeaderName, HOST, HeaderMap, HeaderValue};
use lambda_http::{Request, RequestExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::FieldError;
use super::checks::{self, Checked, Rejection, pydantic};
use super::request::Metadata;
use crate::json::{Int, Json, Object};
use crate::tasks::viewer::Viewer;
use crate::trace::{TRACEPARENT, TRACESTATE, Trace};

/// The characters that Starlette escapes in the URL of a redirect: all except letters, digits and the
/// removed characters below.
#[rustfmt::skip]
const NOT_IN_URLS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b':').remove(b'/')
    .remove(b'%').remove(b'#').remove(b'?').remove(b'=').remove(b'@').remove(b'[')
    .remove(b']').remove(b'!').remove(b'$').remove(b'&').remove(b'\'').remove(b'(')
    .remove(b')').remove(b'*').remove(b'+').remove(b',').remove(b';');

/// The parts of a request that handlers read.
///
/// Extractors return a [`Checked`] value. [`all`](super::all) collects the errors of several parts in
/// FastAPI's order.
pub trait Extract {
    /// The decoded path, with the prefix: a stage or a custom domain's mapping.
    fn path(&self) -> &str;

    /// The text of the path parameter `{name}`.
    fn path_text(&self, name: &str) -> &str;

    /// The path parameter `{name}` as an integer of any size.
    fn path_int(&self, name: &str) -> Checked<Int>;

    /// The part of the path in front of the route: a stage, or a custom domain's mapping.
    fn prefix(&self) -> &str;

    /// The value of a query parameter. Of several values FastAPI uses the last.
    fn query_text(&self, name: &str) -> Option<&str>;

    /// All values of a query parameter, split at commas.
    fn query_texts(&self, name: &str) -> Vec<&str>;

    /// A required query parameter. It may be empty.
    fn query_required(&self, name: &str) -> Checked<String>;

    /// An optional query parameter.
    fn query_optional(&self, name: &str) -> Checked<Option<String>>;

    /// A query parameter as an integer of any size, or `default` if the parameter is absent.
    fn query_int(&self, name: &str, default: i64) -> Checked<Int>;

    /// As [`Extract::query_int`], for an integer within a range.
    fn query_int_within(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Checked<i64>;

    /// A query parameter as a truth value in one of pydantic's spellings, or false if the parameter is absent.
    fn query_flag(&self, name: &str) -> Checked<bool>;

    /// A list of integers separated by commas, in one or several parameters; `None` if the parameter
    /// is absent.
    fn query_ints(&self, name: &str) -> Checked<Option<Vec<Int>>>;

    /// The encoded query without the parameter `without`.
    fn query_without(&self, without: &str) -> String;

    /// The URL of the request without the query.
    fn url_path(&self) -> String;

    /// The URL of another path, with the query of this request.
    fn url_at(&self, path: &str) -> String;

    /// The value of a header as text: UTF-8, or else Latin-1.
    fn header(&self, name: impl AsHeaderName) -> Option<Cow<'_, str>>;

    /// The body as any JSON value.
    fn body_json(&self) -> Checked<Json>;

    /// The body as read by `read`. FastAPI accepts half of a surrogate pair in a body, and fails when an
    /// answer echoes the half. So a body with such a half is refused, unless `read` fails with errors
    /// that do not echo the half.
    fn body_as<T>(&self, read: impl FnOnce(Json) -> Checked<T>) -> Checked<T>;

    /// As [`Extract::body_as`], for a value that only errors echo. U+FFFD replaces each half of a surrogate
    /// pair.
    fn body_as_lossy<T>(&self, read: impl FnOnce(Json) -> Checked<T>) -> Checked<T>;

    /// The body as a JSON object (FastAPI's `dict`).
    fn body_object(&self) -> Checked<Object>;

    /// As [`Extract::body_object`], for a body that no answer echoes. U+FFFD replaces each half of a
    /// surrogate pair.
    fn body_object_lossy(&self) -> Checked<Object>;

    /// The caller's name, or `None` without authentication.
    fn caller(&self) -> Option<&str>;

    /// The trace of the request, with a span of the request's own: of the header `traceparent`, or else of
    /// X-Ray's if X-Ray records the request. A header that is not valid counts as absent.
    fn trace(&self) -> Option<Trace>;

    /// The viewer for all reads of tasks: decides whose tasks the caller may see.
    fn viewer(&self) -> &Viewer;
}

impl Extract for Request {
    fn path(&self) -> &str {
        self.raw_http_path()
    }

    fn path_text(&self, name: &str) -> &str {
        if let Some(text) = self.path_parameters_ref().and_then(|all| all.first(name)) {
            return text;
        }
        text_at(self.path(), metadata(self).route, name)
    }

    fn path_int(&self, name: &str) -> Checked<Int> {
        checks::int(&["path".into(), name.into()], self.path_text(name))
    }

    fn prefix(&self) -> &str {
        prefix_of(self.path(), metadata(self).route)
    }

    fn query_text(&self, name: &str) -> Option<&str> {
        self.query_string_parameters_ref()?.all(name)?.pop()
    }

    fn query_texts(&self, name: &str) -> Vec<&str> {
        let values = self
            .query_string_parameters_ref()
            .and_then(|query| query.all(name));
        let values = values.unwrap_or_default().into_iter();
        values.flat_map(|value| value.split(',')).collect()
    }

    fn query_required(&self, name: &str) -> Checked<String> {
        checks::required(&["query".into(), name.into()], self.query_text(name))
    }

    fn query_optional(&self, name: &str) -> Checked<Option<String>> {
        Ok(self.query_text(name).map(str::to_owned))
    }

    fn query_int(&self, name: &str, default: i64) -> Checked<Int> {
        match self.query_text(name) {
            Some(text) => checks::int(&["query".into(), name.into()], text),
            None => Ok(default.into()),
        }
    }

    fn query_int_within(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
    ) -> Checked<i64> {
        let value = self.query_int(name, default)?;
        let beyond = if value.is_negative() {
            i64::MIN
        } else {
            i64::MAX
        };
        let (value, given) = (value.as_i64().unwrap_or(beyond), || {
            self.query_text(name).unwrap_or_default().into()
        });
        let loc = ["query".into(), name.into()];
        match value {
            value if value < *range.start() => {
                Err(pydantic::at_least(loc, *range.start(), given()).into())
            }
            value if value > *range.end() => {
                Err(pydantic::at_most(loc, *range.end(), given()).into())
            }
            value => Ok(value),
        }
    }

    fn query_flag(&self, name: &str) -> Checked<bool> {
        let Some(text) = self.query_text(name) else {
            return Ok(false);
        };
        let wrong = || pydantic::boolean_text(["query".into(), name.into()], text).into();
        checks::flag(text).ok_or_else(wrong)
    }

    fn query_ints(&self, name: &str) -> Checked<Option<Vec<Int>>> {
        checks::ints(name, &self.query_texts(name))
    }

    fn query_without(&self, without: &str) -> String {
        // Of the raw query and not of the parsed map, to keep the order of the parameters.
        let query = url::form_urlencoded::parse(metadata(self).raw_query.as_bytes());
        let kept = query.filter(|(key, _)| key != without);
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish()
    }

    fn url_path(&self) -> String {
        url_of(self, self.path(), "")
    }

    fn url_at(&self, path: &str) -> String {
        url_of(self, path, &metadata(self).raw_query)
    }

    fn header(&self, name: impl AsHeaderName) -> Option<Cow<'_, str>> {
        let bytes = self.headers().get(name)?.as_bytes();
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        })
    }

    fn body_json(&self) -> Checked<Json> {
        checks::echoable(checks::body(self)?)
    }

    fn body_as<T>(&self, read: impl FnOnce(Json) -> Checked<T>) -> Checked<T> {
        let (value, lone_surrogates) = checks::body(self)?;
        let read = read(value);
        checks::writable(lone_surrogates && (read.is_ok() || echoes(&read)))?;
        read
    }

    fn body_as_lossy<T>(&self, read: impl FnOnce(Json) -> Checked<T>) -> Checked<T> {
        let (value, lone_surrogates) = checks::body(self)?;
        let read = read(value);
        checks::writable(lone_surrogates && echoes(&read))?;
        read
    }

    fn body_object(&self) -> Checked<Object> {
        checks::object(self.body_json()?)
    }

    fn body_object_lossy(&self) -> Checked<Object> {
        match checks::body(self)? {
            (value @ Json::Object(_), _) => checks::object(value),
            other => checks::object(checks::echoable(other)?),
        }
    }

    fn caller(&self) -> Option<&str> {
        metadata(self).admitted.caller.as_deref()
    }

    fn trace(&self) -> Option<Trace> {
        let context = self.lambda_context_ref();
        let of_xray = || Trace::of_xray(context?.xray_trace_id.as_deref()?);
        let given = trace_of(self.headers());
        // The segment that X-Ray has of this invocation is the request's own span already.
        let name = context.map_or("", |context| context.request_id.as_str());
        given.map(|trace| trace.within(name)).or_else(of_xray)
    }

    fn viewer(&self) -> &Viewer {
        &metadata(self).admitted.viewer
    }
}

/// The trace in the headers of a request. A `traceparent` that was sent twice is not valid.
fn trace_of(headers: &HeaderMap) -> Option<Trace> {
    let mut parents = headers.get_all(TRACEPARENT).into_iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else {
        return None;
    };
    let states = headers.get_all(TRACESTATE).into_iter();
    let states: Result<Vec<_>, _> = states.map(HeaderValue::to_str).collect();
    let state = states.unwrap_or_default().join(",");
    Trace::new(parent.to_str().ok()?, Some(&state))
}

/// Whether an answer with these errors echoes U+FFFD, which may replace half of a surrogate pair.
fn echoes<T>(read: &Checked<T>) -> bool {
    match read {
        Ok(_) => false,
        Err(Rejection::Fields(errors)) => errors.iter().any(FieldError::echoes_replacement),
        Err(_) => true,
    }
}

/// The metadata of a request. A request without metadata, not made by
/// [`super::request::from_event`], has no route, and its viewer sees no task.
pub(super) fn metadata(request: &Request) -> &Metadata {
    static NONE: std::sync::LazyLock<Metadata> = std::sync::LazyLock::new(Metadata::default);
    request.extensions().get::<Metadata>().unwrap_or(&NONE)
}

/// The text of the path parameter `{name}`, by its position from the end of the path. Counting from the
/// end ignores a stage or a custom domain's mapping in front of the path.
fn text_at<'a>(path: &'a str, route: &str, name: &str) -> &'a str {
    let segments = route.trim_matches('/').rsplit('/');
    let is_parameter = |segment: &str| {
        let inner = segment.strip_prefix('{');
        inner.is_some_and(|inner| inner.trim_end_matches('}') == name)
    };
    let position = segments
        .enumerate()
        .find(|(_, segment)| is_parameter(segment))
        .map(|(position, _)| position);
    let path = path.strip_suffix('/').unwrap_or(path);
    position
        .and_then(|position| path.rsplit('/').nth(position))
        .unwrap_or_default()
}

fn prefix_of<'a>(path: &'a str, route: &str) -> &'a str {
    let mut path = path.strip_suffix('/').unwrap_or(path);
    let segments = route.split('/').filter(|segment| !segment.is_empty());
    for _ in segments {
        path = &path[..path.rfind('/').unwrap_or(0)];
    }
    path
}

/// A URL, absolute if the request has a `Host`, and escaped as in Starlette.
fn url_of(request: &Request, path: &str, query: &str) -> String {
    let path = path.replace('?', "%3F").replace('#', "%23");
    let question = if query.is_empty() { "" } else { "?" };
    // API Gateway always sets this header. A local stack has no TLS.
    let scheme = request.header("x-forwarded-proto");
    let scheme = scheme.as_deref().unwrap_or("http");
    let url = match request.header(HOST) {
        Some(host) => format!("{scheme}://{host}{path}{question}{query}"),
        None => format!("{path}{question}{query}"),
    };
    utf8_percent_encode(&url, NOT_IN_URLS).to_string()
}

#[cfg(test)]
mod tests;
