//! The table of routes, for answers to requests that match no route of the gateway.

use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};

use super::answer::{self, ResponseExt};
use super::error::HttpError;
use super::extract::Extract;

mod forward;
mod table;

pub use forward::RouteFunctions;
use forward::Target;
use table::ROUTES;

/// A route of the table: the path, the methods as in `Allow`, and the name of the function.
type Route = (&'static str, &'static str, &'static str);

/// Answers the requests that match no route of the gateway.
#[derive(Debug)]
pub struct Routes {
    base_path: String,
    functions: Option<RouteFunctions>,
    /// For each path, its routes in order. A final slash makes another path.
    paths: matchit::Router<&'static [Route]>,
}

impl Routes {
    /// The routes below a base path, which may be empty. With `functions`, a request that has only a
    /// trailing slash too many for the gateway is answered by the function of its route.
    ///
    /// # Panics
    /// When two paths of the table differ only in the name of a parameter, which is a mistake in the
    /// template.
    pub fn below(base_path: String, functions: Option<RouteFunctions>) -> Routes {
        let mut paths = matchit::Router::new();
        for routes in ROUTES.chunk_by(|(path, ..), (next, ..)| path == next) {
            let (path, ..) = routes[0];
            let inserted = paths.insert(path, routes);
            assert!(inserted.is_ok(), "{path}: {inserted:?}");
        }
        Routes {
            base_path,
            functions,
            paths,
        }
    }

    /// Splits a request's path into the prefix (the base path or the stage) and the path of the route.
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

    /// The answer to a request that matches no route of the gateway.
    ///
    /// API Gateway has no routes with a trailing slash, and may match a path with a trailing slash to the
    /// route without the slash or to this function. The function of the route then answers, as invoked
    /// from here.
    ///
    /// # Errors
    /// 405 for a known path, 404 for an unknown path, and 500 or 503 if the function of the route does not
    /// answer.
    pub async fn answer(&self, request: &Request) -> Result<Response<Body>, HttpError> {
        if let Some(functions) = &self.functions
            && let Some(target) = self.target(request)
            && let Some(name) = functions.name(&target)
        {
            return functions.invoke(request, &target, name).await;
        }
        self.own_answer(request)
    }

    /// The route that serves a request but for the slash at the end of the request's path.
    fn target<'a>(&self, request: &'a Request) -> Option<Target<'a>> {
        let (prefix, path) = self.split_prefix(request);
        let without = path.strip_suffix('/')?;
        if without.is_empty() || without.ends_with('/') {
            return None;
        }
        let served = match self.routes(path) {
            [] => self.routes(without),
            served => served,
        };
        let (route, _, function) = find_method(served, request.method())?;
        Some(Target {
            function,
            route: route.trim_end_matches('/'),
            prefix,
            path: without,
        })
    }

    /// FastAPI's answer to a request that matches no route of the gateway.
    ///
    /// A path with a final slash too many or too few is redirected. If a route has the request's method,
    /// the redirect is only to the path *without* a slash, which the gateway certainly matches. A
    /// redirect to the path with a slash could loop.
    ///
    /// # Errors
    /// 405 for a known path, 404 for an unknown path.
    fn own_answer(&self, request: &Request) -> Result<Response<Body>, HttpError> {
        let (prefix, path) = self.split_prefix(request);
        let redirect = |path: &str| {
            let url = request.url_at(&format!("{prefix}{path}"));
            Ok(answer::empty(StatusCode::TEMPORARY_REDIRECT).at(&url))
        };
        let is_served = |routes| find_method(routes, request.method()).is_some();
        let without = path.trim_end_matches('/');
        let served = self.routes(path);
        if let Some((_, allow, _)) = served.first() {
            return match is_served(served) {
                true if without.len() == path.len() || without.is_empty() => Err(unknown()),
                true => redirect(without),
                false => Err(not_allowed(allow)),
            };
        }
        if path.ends_with('/') {
            return match self.routes(without) {
                [] => Err(unknown()),
                _ => redirect(without),
            };
        }
        let with = format!("{path}/");
        match self.routes(&with) {
            [] => Err(unknown()),
            served if is_served(served) => Err(unknown()),
            _ => redirect(&with),
        }
    }

    /// The routes of a path. Empty for an unknown path.
    fn routes(&self, path: &str) -> &'static [Route] {
        self.paths.at(path).map_or(&[], |found| found.value)
    }
}

/// The route of a path with this method.
fn find_method(routes: &'static [Route], method: &Method) -> Option<&'static Route> {
    let has_method = |methods: &str| methods.split(", ").any(|served| served == method.as_str());
    routes.iter().find(|(_, methods, _)| has_method(methods))
}

/// The stage that is part of the request's path. `$default` never is.
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

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

    use crate::web::request::from_event;

    fn request(stage: &str, method: &str, path: &str) -> Request {
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
        from_event(event, "$default")
    }

    /// The answer's status, and its `allow` or `location`.
    fn ask(stage: &str, base_path: &str, method: &str, path: &str) -> (u16, String) {
        let request = request(stage, method, path);
        let routes = Routes::below(base_path.to_owned(), None);
        let answer = routes.own_answer(&request).unwrap_or_else(Response::from);
        let headers = answer.headers();
        let value = headers.get(ALLOW).or(headers.get(http::header::LOCATION));
        let value = value.map_or("", |value| value.to_str().unwrap());
        (answer.status().as_u16(), value.to_owned())
    }

    #[test]
    fn allow_has_the_methods_of_the_first_route_of_a_path() {
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
        for path in ["/docs", "/openapi.json"] {
            let refused = ask("$default", "", "POST", path);
            assert_eq!(refused, (405, "GET, HEAD".to_owned()), "{path}");
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
            "items",
            "/items/{item_id}/6",
            "/docs/page.css",
            "/tasks/1/retry/2",
        ] {
            for method in ["GET", "DELETE"] {
                let refused = ask("$default", "", method, path);
                assert_eq!(refused, (404, String::new()), "{path}");
            }
        }
    }

    #[test]
    fn slashes_are_redirected_if_the_gateway_matches_the_target() {
        for (method, path, location) in [
            // As FastAPI does.
            ("GET", "/items/5/", "/items/5"),
            ("PATCH", "/result/a b/", "/result/a%20b"),
            ("GET", "/items/5//", "/items/5"),
            ("PUT", "/users", "/users/"),
            ("HEAD", "/process", "/process/"),
            // The path that the gateway certainly matches.
            ("GET", "/users/", "/users"),
            ("POST", "/process/", "/process"),
        ] {
            let location = format!("https://a.example{location}?a=1&b=%20");
            assert_eq!(ask("$default", "", method, path), (307, location), "{path}");
        }
        // A redirect of these paths could loop.
        for path in ["/users", "/fetch", "/items/5", "/"] {
            assert_eq!(ask("$default", "", "GET", path).0, 404, "{path}");
        }
    }

    #[test]
    fn a_path_with_one_slash_too_many_has_the_function_of_its_route() {
        let find = |method: &str, path: &str| {
            let routes = Routes::below("/v1".to_owned(), None);
            let request = request("$default", method, path);
            let target = routes.target(&request);
            target.map(|target| {
                let Target {
                    route,
                    prefix,
                    path,
                    ..
                } = target;
                (target.function, route, format!("{prefix} {path}"))
            })
        };
        for (method, path, function, route, split) in [
            ("GET", "/items/", "list_items", "/items", " /items"),
            (
                "POST",
                "/v1/process/",
                "process",
                "/process",
                "/v1 /process",
            ),
            (
                "GET",
                "/items/5/",
                "read_item",
                "/items/{item_id}",
                " /items/5",
            ),
            (
                "POST",
                "/tasks/a b/retry/",
                "retry_task",
                "/tasks/{task_id}/retry",
                " /tasks/a b/retry",
            ),
            ("HEAD", "/docs/", "docs", "/docs", " /docs"),
        ] {
            let found = Some((function, route, split.to_owned()));
            assert_eq!(find(method, path), found, "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/items"),
            ("GET", "/items/5"),
            ("GET", "/items//"),
            ("GET", "/items/5//"),
            ("PATCH", "/items/"),
            ("GET", "/process/"),
            ("GET", "/nope/"),
        ] {
            assert_eq!(find(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn a_stage_or_a_base_path_is_removed_from_the_path() {
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
