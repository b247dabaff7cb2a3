//! One HTTP request, as API Gateway's payload format 2.0 hands it to a function.

use std::borrow::Cow;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::params::{self, Checked};
use crate::json::{Int, Json, Object};

/// A request, with its parts ready to be read.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as it came, still percent-encoded, perhaps with a stage or mapping in front.
    pub path: String,
    /// The route that the gateway matched, such as `/items/{item_id}`.
    pub route: &'static str,
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
        let query = event.raw_query_string.unwrap_or_default();
        Request {
            method: event.request_context.http.method,
            path: event.raw_path.unwrap_or_default(),
            route,
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            headers: event.headers,
            body,
        }
    }

    /// The text at `{name}` of the route. It is found by its place from the end of the path, so
    /// that a stage or a custom domain's mapping in front of the path does no harm.
    pub fn path_text(&self, name: &str) -> Cow<'_, str> {
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
        let text = place
            .and_then(|place| path.rsplit('/').nth(place))
            .unwrap_or_default();
        percent_decode_str(text).decode_utf8_lossy()
    }

    /// The last value of a query parameter: FastAPI takes the last of several.
    pub fn query_text(&self, name: &str) -> Option<&str> {
        let last = self.query.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str())
    }

    /// The query's parameters but for `without`, encoded again.
    pub fn query_without(&self, without: &str) -> String {
        let kept = self.query.iter().filter(|(key, _)| key != without);
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .finish()
    }

    /// The request's URL without its query: absolute, as `requests` and `httpx` users expect of
    /// a link, where the caller's `Host` is known.
    pub fn url_path(&self) -> String {
        let Some(host) = self.header(http::header::HOST) else {
            return self.path.clone();
        };
        // API Gateway always sets it; a local stack has no TLS.
        let scheme = self.header("x-forwarded-proto").unwrap_or("http");
        format!("{scheme}://{host}{}", self.path)
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
        params::int(&["path".into(), name.into()], &self.path_text(name))
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
        let given = self.query.iter().filter(|(key, _)| key == name);
        let texts: Vec<&str> = given.flat_map(|(_, value)| value.split(',')).collect();
        params::ints(name, &texts)
    }

    /// The body as any JSON value.
    pub fn body_json(&self) -> Checked<Json> {
        params::body(self)
    }

    /// The body as a JSON object (FastAPI's `dict`).
    pub fn body_object(&self) -> Checked<Object> {
        params::object(self.body_json()?)
    }
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
        let nested = request("/tasks/{task_id}/retry", "/tasks/a%20b/retry");
        assert_eq!(nested.path_text("task_id"), "a b");
        assert_eq!(request("/items/{item_id}", "").path_text("item_id"), "");
        assert_eq!(
            request("/items/{item_id}", "/items/%ff").path_text("item_id"),
            "\u{fffd}"
        );
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
