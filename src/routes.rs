//! The routes of the service, for the answers to requests that none of them takes.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};

use crate::http::HttpError;

/// Each path with its methods, in the order in which FastAPI would match them: a request whose path
/// is known and whose method is not is told the methods of the first route of that path.
const ROUTES: &[(&str, &str)] = &[
    ("/", "GET"),
    ("/items", "GET"),
    ("/items", "POST"),
    ("/items/{item_id}", "GET"),
    ("/items/{item_id}", "PUT"),
    ("/items/{item_id}", "DELETE"),
    ("/users", "GET"),
    ("/users", "POST"),
    ("/users/{user_id}", "GET"),
    ("/users/{user_id}", "PUT"),
    ("/users/{user_id}", "DELETE"),
    ("/fetch", "GET"),
    ("/process", "POST"),
    ("/result/{task_id}", "GET"),
];

/// The answer to a request that no function took: 405 where the path is one of ours, else 404.
pub fn refuse(path: &str) -> HttpError {
    match ROUTES.iter().find(|(route, _)| is_path_of(route, path)) {
        Some((_, method)) => HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .with(ALLOW, HeaderValue::from_static(method)),
        None => HttpError::not_found("Not Found"),
    }
}

/// Whether a path is of a route, with or without a slash at its end.
fn is_path_of(route: &str, path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut given = path.strip_suffix('/').unwrap_or(path).split('/');
    let fits = route
        .trim_matches('/')
        .split('/')
        .all(|segment| match given.next() {
            Some(text) if segment.starts_with('{') => !text.is_empty(),
            Some(text) => text == segment,
            None => false,
        });
    fits && given.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> (u16, Option<String>) {
        let answer = crate::http::Answer::from(refuse(path));
        let allow = answer
            .headers()
            .get(ALLOW)
            .and_then(|value| value.to_str().ok());
        (answer.status().as_u16(), allow.map(str::to_owned))
    }

    #[test]
    fn a_known_path_tells_its_first_routes_methods() {
        for (path, allow) in [
            ("/", "GET"),
            ("/items", "GET"),
            ("/items/", "GET"),
            ("/items/5", "GET"),
            ("/process/", "POST"),
            ("/result/x", "GET"),
        ] {
            assert_eq!(refused(path), (405, Some(allow.to_owned())), "{path}");
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
            assert_eq!(refused(path), (404, None), "{path}");
        }
    }
}
