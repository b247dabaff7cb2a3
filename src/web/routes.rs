//! The routes of the service, for the answers to requests that no other function takes.

use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};

use super::answer::{self, ResponseExt};
use super::error::HttpError;
use super::extract::Extract;

/// Each path with its methods, as FastAPI has them, slashes included, and in the order in which it
/// matches them: a request whose path is known and whose method is not is told the methods of the
/// first route of that path.
const ROUTES: &[(&str, &str)] = &[
    ("/openapi.json", "GET, HEAD"),
    ("/docs", "GET, HEAD"),
    ("/redoc", "GET, HEAD"),
    ("/", "GET"),
    ("/items/", "GET"),
    ("/items/", "POST"),
    ("/items/{item_id}", "GET"),
    ("/items/{item_id}", "PUT"),
    ("/items/{item_id}", "DELETE"),
    ("/users/", "GET"),
    ("/users/", "POST"),
    ("/users/{user_id}", "GET"),
    ("/users/{user_id}", "PUT"),
    ("/users/{user_id}", "DELETE"),
    ("/fetch/", "GET"),
    ("/process/", "POST"),
    ("/result/{task_id}", "GET"),
    ("/tasks/", "GET"),
    ("/tasks/", "POST"),
    ("/tasks/{task_id}", "GET"),
    ("/tasks/{task_id}", "DELETE"),
    ("/tasks/{task_id}/retry", "POST"),
    ("/jobs/", "GET"),
];

/// Answers what no other function took.
#[derive(Debug, Clone)]
pub struct Routes {
    base_path: String,
}

impl Routes {
    /// The routes below this path, which may be empty.
    pub fn below(base_path: String) -> Routes {
        Routes { base_path }
    }

    /// A request's path in two: the prefix, which is the base path or the stage's name, and the rest.
    fn split_prefix<'a>(&self, request: &'a Request) -> (&'a str, &'a str) {
        let path = request.path();
        let stage = stage(request).map_or(String::new(), |stage| format!("/{stage}"));
        for prefix in [&self.base_path, &stage] {
            match path.strip_prefix(prefix) {
                Some("") => return (path, "/"),
                Some(rest) if !prefix.is_empty() && rest.starts_with('/') => {
                    return path.split_at(prefix.len());
                }
                _ => {}
            }
        }
        ("", path)
    }

    /// The answer to a request that no other function took, as FastAPI would word it.
    ///
    /// A path that has a slash too many or too few is redirected. Where its method is one that the
    /// service answers, only to the form *without* a slash, since that is the one that a route of
    /// the gateway is sure to match: the other way could go round for ever.
    ///
    /// # Errors
    /// 405 where the path is known, 404 where it is not.
    pub fn answer(&self, request: &Request) -> Result<Response<Body>, HttpError> {
        let (prefix, path) = self.split_prefix(request);
        let redirect = |path: &str| {
            let url = request.url_at(&format!("{prefix}{path}"));
            Ok(answer::empty(StatusCode::TEMPORARY_REDIRECT).at(&url))
        };
        let without = path.trim_end_matches('/');
        if let Some(allow) = allowed(path) {
            return match is_served(path, request.method()) {
                true if without.len() == path.len() || without.is_empty() => Err(unknown()),
                true => redirect(without),
                false => Err(not_allowed(allow)),
            };
        }
        if path.ends_with('/') {
            return allowed(without).map_or_else(|| Err(unknown()), |_| redirect(without));
        }
        let with = format!("{path}/");
        if allowed(&with).is_some() && !is_served(&with, request.method()) {
            return redirect(&with);
        }
        Err(unknown())
    }
}

/// The stage of a request's event, unless the stage is not part of the path.
fn stage(request: &Request) -> Option<&str> {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
        return None;
    };
    let stage = context.stage.as_deref();
    stage.filter(|stage| *stage != "$default")
}

fn unknown() -> HttpError {
    HttpError::not_found("Not Found")
}

fn not_allowed(allow: &'static str) -> HttpError {
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        .with(ALLOW, HeaderValue::from_static(allow))
}

/// The methods of the first route of a path.
fn allowed(path: &str) -> Option<&'static str> {
    let mut routes = ROUTES.iter();
    let first = routes.find(|(route, _)| is_path_of(route, path));
    first.map(|(_, methods)| *methods)
}

fn is_served(path: &str, method: &Method) -> bool {
    let mut routes = ROUTES.iter();
    routes.any(|(route, methods)| {
        methods.split(", ").any(|served| served == method.as_str()) && is_path_of(route, path)
    })
}

/// Whether a path is of a route, with a slash at its end only where the route has one.
fn is_path_of(route: &str, path: &str) -> bool {
    let mut given = path.split('/');
    let fits = route.split('/').all(|segment| match given.next() {
        Some(text) if segment.starts_with('{') => !text.is_empty(),
        Some(text) => text == segment,
        None => false,
    });
    fits && given.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

    use crate::web::request::from_event;

    /// Status, and `allow` or `location`.
    fn ask(stage: &str, base_path: &str, method: &str, path: &str) -> (u16, String) {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_path = Some(path.to_owned());
        event.raw_query_string = Some("a=1&b=%20".to_owned());
        let context = &mut event.request_context;
        context.apiid = Some("api".to_owned());
        context.stage = Some(stage.to_owned());
        context.http.method = method.parse().unwrap();
        let headers = [("host", "a.example"), ("x-forwarded-proto", "https")];
        for (name, value) in headers {
            event.headers.insert(name, HeaderValue::from_static(value));
        }
        let request = from_event(event, "$default");
        let routes = Routes::below(base_path.to_owned());
        let answer = routes.answer(&request).unwrap_or_else(Response::from);
        let headers = answer.headers();
        let told = headers.get(ALLOW).or(headers.get(http::header::LOCATION));
        let told = told.map_or("", |value| value.to_str().unwrap());
        (answer.status().as_u16(), told.to_owned())
    }

    #[test]
    fn a_known_path_tells_its_first_routes_methods() {
        for (method, path, allow) in [
            ("DELETE", "/", "GET"),
            ("PUT", "/items/", "GET"),
            ("PATCH", "/items/5", "GET"),
            ("HEAD", "/users/", "GET"),
            ("GET", "/process/", "POST"),
            ("OPTIONS", "/result/x", "GET"),
        ] {
            let refused = ask("$default", "", method, path);
            assert_eq!(refused, (405, allow.to_owned()), "{path}");
        }
    }

    #[test]
    fn an_unknown_path_is_not_found() {
        for path in [
            "/nope",
            "/items/5/6",
            "/itemsx",
            "//items",
            "/result",
            "/result/",
            "/items//",
        ] {
            for method in ["GET", "DELETE"] {
                let refused = ask("$default", "", method, path);
                assert_eq!(refused, (404, String::new()), "{path}");
            }
        }
    }

    #[test]
    fn slashes_are_redirected_as_far_as_the_gateway_matches() {
        for (method, path, location) in [
            // As FastAPI does.
            ("GET", "/items/5/", "/items/5"),
            ("PATCH", "/result/a b/", "/result/a%20b"),
            ("GET", "/items/5//", "/items/5"),
            ("PUT", "/users", "/users/"),
            ("HEAD", "/process", "/process/"),
            // The form that the gateway is sure to match.
            ("GET", "/users/", "/users"),
            ("POST", "/process/", "/process"),
        ] {
            let location = format!("https://a.example{location}?a=1&b=%20");
            assert_eq!(ask("$default", "", method, path), (307, location), "{path}");
        }
        // These would come back.
        for path in ["/users", "/fetch", "/items/5", "/"] {
            assert_eq!(ask("$default", "", "GET", path).0, 404, "{path}");
        }
    }

    #[test]
    fn a_stage_and_a_mapping_may_stand_in_front() {
        for (stage, base_path, prefix) in [
            ("prod", "", "/prod"),
            ("prod", "/v1", "/v1"),
            ("prod", "/v1", "/prod"),
            ("$default", "/a/b", "/a/b"),
        ] {
            let ask =
                |method, path: &str| ask(stage, base_path, method, &format!("{prefix}{path}"));
            assert_eq!(ask("PUT", "/items/"), (405, "GET".to_owned()));
            assert_eq!(ask("PUT", ""), (405, "GET".to_owned()));
            assert_eq!(ask("GET", "/nope").0, 404);
            let location = format!("https://a.example{prefix}/items/5?a=1&b=%20");
            assert_eq!(ask("GET", "/items/5/"), (307, location));
        }
        assert_eq!(ask("prod", "", "PUT", "/production/items/").0, 404);
        assert_eq!(ask("prod", "", "PUT", "/items/").0, 405);
    }
}
