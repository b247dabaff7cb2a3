//! One HTTP request, as API Gateway's payload format 2.0 hands it to a function.

use std::collections::HashMap;

use aws_lambda_events::apigw::{ApiGatewayRequestAuthorizer, ApiGatewayV2httpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::params::{self, Checked, Rejection};
use super::{FieldError, HttpError};
use crate::auth::guard::{Admitted, Guard};
use crate::json::{Int, Json, Object};

/// What Starlette encodes in the URL of a redirect: all but letters, digits and these.
#[rustfmt::skip]
const NOT_IN_URLS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b':').remove(b'/')
    .remove(b'%').remove(b'#').remove(b'?').remove(b'=').remove(b'@').remove(b'[')
    .remove(b']').remove(b'!').remove(b'$').remove(b'&').remove(b'\'').remove(b'(')
    .remove(b')').remove(b'*').remove(b'+').remove(b',').remove(b';');

/// A request, with its parts ready to be read.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, decoded, perhaps with a stage or mapping in front.
    pub path: String,
    /// The route that the gateway matched, such as `/items/{item_id}`.
    pub route: &'static str,
    stage: Option<String>,
    authorizer: Option<ApiGatewayRequestAuthorizer>,
    admitted: Admitted,
    parameters: HashMap<String, String>,
    raw_query: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    /// Takes the gateway's event apart. A body that claims to be base64 and is not is kept as
    /// text, so that its check answers the caller.
    pub fn from_event(event: ApiGatewayV2httpRequest, route: &'static str) -> Request {
        let body = event.body.unwrap_or_default();
        let body = match event.is_base64_encoded {
            true => STANDARD.decode(&body).unwrap_or_else(|_| body.into_bytes()),
            false => body.into_bytes(),
        };
        // Not `queryStringParameters`: there the gateway joins repeated values by commas.
        let raw_query = event.raw_query_string.unwrap_or_default();
        let decode = match event.request_context.apiid {
            Some(_) => decoded_by_gateway,
            None => decoded_here,
        };
        let parameters = event.path_parameters.into_iter();
        Request {
            method: event.request_context.http.method,
            path: decode(&event.raw_path.unwrap_or_default()),
            route,
            stage: event.request_context.stage,
            authorizer: event.request_context.authorizer,
            admitted: Admitted::default(),
            parameters: parameters
                .map(|(name, text)| (name, decode(&text)))
                .collect(),
            query: url::form_urlencoded::parse(raw_query.as_bytes())
                .into_owned()
                .collect(),
            raw_query,
            headers: event.headers,
            body,
        }
    }

    /// The text at `{name}` of the route. Where the gateway does not tell it, it is found by its
    /// place from the end of the path, so that a stage or a custom domain's mapping in front of the
    /// path does no harm.
    pub fn path_text(&self, name: &str) -> &str {
        if let Some(text) = self.parameters.get(name) {
            return text;
        }
        let segments = self.route.trim_matches('/').rsplit('/');
        let place = segments
            .enumerate()
            .find(|(_, segment)| {
                segment
                    .strip_prefix('{')
                    .is_some_and(|s| s.trim_end_matches('}') == name)
            })
            .map(|(place, _)| place);
        let path = self.path.strip_suffix('/').unwrap_or(&self.path);
        place
            .and_then(|place| path.rsplit('/').nth(place))
            .unwrap_or_default()
    }

    /// The same request, once the guard knows who makes it and lets it through.
    ///
    /// # Errors
    /// As [`Guard::admit`].
    pub(super) fn admitted_by(mut self, guard: &Guard) -> Result<Request, HttpError> {
        self.admitted = guard.admit(&self.method, self.authorizer.as_ref())?;
        Ok(self)
    }

    /// Who makes the request, where the service knows its callers.
    pub fn caller(&self) -> Option<&str> {
        self.admitted.caller.as_deref()
    }

    /// The caller whose tasks alone may be seen; `None` for those of all callers.
    pub fn only_of(&self) -> Option<&str> {
        self.admitted.only_of.as_deref()
    }

    /// Whether the caller may see a task of `owner`.
    pub fn may_see(&self, owner: Option<&str>) -> bool {
        self.only_of().is_none_or(|caller| owner == Some(caller))
    }

    /// Whether FastAPI would match another route, or none: it looks for slashes after decoding, some
    /// gateways before.
    pub(super) fn is_misrouted(&self) -> bool {
        self.parameters.values().any(|text| text.contains('/'))
    }

    /// What stands before the route in the path: a stage, or a custom domain's mapping.
    pub fn prefix(&self) -> &str {
        let mut path = self.path.strip_suffix('/').unwrap_or(&self.path);
        let segments = self.route.split('/').filter(|segment| !segment.is_empty());
        for _ in segments {
            path = &path[..path.rfind('/').unwrap_or(0)];
        }
        path
    }

    /// The path in two, as the fallback sees it, which has no route: the prefix, which is the stage's
    /// name or `base_path`, and what follows.
    pub fn split_prefix(&self, base_path: &str) -> (&str, &str) {
        let stage = self.stage.as_deref().filter(|stage| *stage != "$default");
        let stage = stage.map_or(String::new(), |stage| format!("/{stage}"));
        for prefix in [base_path, &stage] {
            match self.path.strip_prefix(prefix) {
                Some("") => return (&self.path, "/"),
                Some(rest) if !prefix.is_empty() && rest.starts_with('/') => {
                    return self.path.split_at(prefix.len());
                }
                _ => {}
            }
        }
        ("", &self.path)
    }

    /// The last value of a query parameter: FastAPI takes the last of several.
    pub fn query_text(&self, name: &str) -> Option<&str> {
        let last = self.query.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter, at their commas.
    pub fn query_texts(&self, name: &str) -> Vec<&str> {
        let given = self.query.iter().filter(|(key, _)| key == name);
        given.flat_map(|(_, value)| value.split(',')).collect()
    }

    /// The query's parameters but for `without`, encoded again.
    pub fn query_without(&self, without: &str) -> String {
        let kept = self.query.iter().filter(|(key, _)| key != without);
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish()
    }

    /// The request's URL without its query.
    pub fn url_path(&self) -> String {
        self.url_of(&self.path, "")
    }

    /// The URL of another path with this request's query.
    pub fn url_at(&self, path: &str) -> String {
        self.url_of(path, &self.raw_query)
    }

    /// A URL, absolute where the caller's `Host` is known, and encoded as Starlette does it.
    fn url_of(&self, path: &str, query: &str) -> String {
        let path = path.replace('?', "%3F").replace('#', "%23");
        let question = if query.is_empty() { "" } else { "?" };
        // API Gateway always sets it; a local stack has no TLS.
        let scheme = self.header("x-forwarded-proto").unwrap_or("http");
        let url = match self.header(http::header::HOST) {
            Some(host) => format!("{scheme}://{host}{path}{question}{query}"),
            None => format!("{path}{question}{query}"),
        };
        utf8_percent_encode(&url, NOT_IN_URLS).to_string()
    }

    /// A header's text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// An integer of the path, of any size.
    pub fn path_int(&self, name: &str) -> Checked<Int> {
        params::int(&["path".into(), name.into()], self.path_text(name))
    }

    /// A query parameter that must be there; it may be empty.
    pub fn query_required(&self, name: &str) -> Checked<String> {
        params::required(&["query".into(), name.into()], self.query_text(name))
    }

    /// A query parameter that may be absent.
    pub fn query_optional(&self, name: &str) -> Checked<Option<String>> {
        Ok(self.query_text(name).map(str::to_owned))
    }

    /// An integer of the query, of any size, or `default` where it is absent.
    pub fn query_int(&self, name: &str, default: i64) -> Checked<Int> {
        match self.query_text(name) {
            Some(text) => params::int(&["query".into(), name.into()], text),
            None => Ok(default.into()),
        }
    }

    /// A list of integers separated by commas, in one or several parameters, or `None` where the
    /// parameter is absent.
    pub fn query_ints(&self, name: &str) -> Checked<Option<Vec<Int>>> {
        params::ints(name, &self.query_texts(name))
    }

    /// The body as any JSON value.
    pub fn body_json(&self) -> Checked<Json> {
        params::echoable(params::body(self)?)
    }

    /// The body as `read` understands it. FastAPI reads half a character and fails when it writes one:
    /// so a body that has one is refused, unless what `read` finds wrong can be written without it.
    pub fn body_as<T>(&self, read: impl FnOnce(Json) -> Checked<T>) -> Checked<T> {
        let (value, lone_surrogates) = params::body(self)?;
        let read = read(value);
        let echoes = match &read {
            Err(Rejection::Fields(errors)) => errors.iter().any(FieldError::echoes_replacement),
            _ => true,
        };
        params::writable(lone_surrogates && echoes)?;
        read
    }

    /// The body as a JSON object (FastAPI's `dict`).
    pub fn body_object(&self) -> Checked<Object> {
        params::object(self.body_json()?)
    }

    /// As [`Request::body_object`], for what is never echoed: U+FFFD stands for each surrogate without
    /// its other half.
    pub fn body_object_lossy(&self) -> Checked<Object> {
        match params::body(self)? {
            (value @ Json::Object(_), _) => params::object(value),
            other => params::object(params::echoable(other)?),
        }
    }
}

/// API Gateway decodes paths before it asks a function. What stands in for it may leave an escaped
/// percent sign as it is; in a path from API Gateway itself there is none, but for one that was
/// escaped three times.
fn decoded_by_gateway(text: &str) -> String {
    text.replace("%25", "%")
}

/// What stands in for API Gateway without an API's id (the watcher's own router) does not decode.
fn decoded_here(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(route: &'static str, path: &str) -> Request {
        Request {
            route,
            path: path.to_owned(),
            ..Request::default()
        }
    }

    fn query(text: &str) -> Request {
        let query = url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        Request {
            query,
            ..Request::default()
        }
    }

    #[test]
    fn path_parameters_are_found_behind_any_prefix() {
        for path in ["/items/5", "/items/5/", "/prod/items/5", "/v1/api/items/5/"] {
            assert_eq!(
                request("/items/{item_id}", path).path_text("item_id"),
                "5",
                "{path}"
            );
        }
        let nested = request("/tasks/{task_id}/retry", "/tasks/a b/retry");
        assert_eq!(nested.path_text("task_id"), "a b");
        assert_eq!(request("/items/{item_id}", "").path_text("item_id"), "");
    }

    fn event(api: Option<&str>, path: &str, parameter: &str) -> Request {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_path = Some(path.to_owned());
        event.request_context.apiid = api.map(str::to_owned);
        event.path_parameters = [("item_id".to_owned(), parameter.to_owned())].into();
        Request::from_event(event, "/items/{item_id}")
    }

    #[test]
    fn a_path_is_decoded_once() {
        let text = |api, parameter| {
            let request = event(api, &format!("/items/{parameter}"), parameter);
            assert_eq!(
                request.path,
                format!("/items/{}", request.path_text("item_id"))
            );
            request.path_text("item_id").to_owned()
        };
        // API Gateway has decoded it, perhaps but for the percent sign.
        assert_eq!(text(Some("api"), "a b%35ä"), "a b%35ä");
        assert_eq!(text(Some("api"), "%2535"), "%35");
        // The watcher has not.
        assert_eq!(text(None, "a%20b%2535%ff"), "a b%35\u{fffd}");
    }

    #[test]
    fn a_slash_in_a_parameter_is_another_path() {
        assert!(event(None, "/items/a%2Fb", "a%2Fb").is_misrouted());
        assert!(event(Some("api"), "/items/a/b", "a/b").is_misrouted());
        assert!(!event(Some("api"), "/prod/items/5/", "5").is_misrouted());
    }

    #[test]
    fn a_prefix_is_what_stands_before_the_route() {
        for (route, path, prefix) in [
            ("/items", "/items/", ""),
            ("/items", "/prod/items", "/prod"),
            ("/items/{item_id}", "/a/b/items/5/", "/a/b"),
            ("/", "/", ""),
            ("/", "/prod/", "/prod"),
        ] {
            assert_eq!(request(route, path).prefix(), prefix, "{path}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_parameter_wins() {
        assert_eq!(query("q=1&q=2").query_text("q"), Some("2"));
        assert_eq!(query("q=").query_text("q"), Some(""));
        assert_eq!(query("q").query_text("q"), Some(""));
        assert_eq!(query("a=a%2Cb+c").query_text("a"), Some("a,b c"));
        assert_eq!(query("").query_text("q"), None);
    }

    #[test]
    fn a_list_may_be_joined_or_repeated() {
        let ints = |text: &str| {
            let ints = query(text).query_ints("ids").unwrap();
            ints.map(|ints| {
                ints.iter()
                    .map(|int| int.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        assert_eq!(ints("ids=1,2&ids=3").as_deref(), Some("1 2 3"));
        assert_eq!(ints("ids=").as_deref(), Some(""));
        assert_eq!(ints("limit=3"), None);
        assert!(query("ids=1,x").query_ints("ids").is_err());
    }
}
