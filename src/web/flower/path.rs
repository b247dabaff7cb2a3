//! The routes of Flower's API.

use http::{Method, StatusCode};
use lambda_http::{Request, RequestExt};

use super::failure::Failure;
use crate::web::Extract;

/// What a request asks for. The texts are names of tasks and workers and ids of tasks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    Health,
    Metrics,
    Tasks,
    Types,
    Info(&'a str),
    Result(&'a str),
    Apply(Wait, &'a str),
    Send(&'a str),
    Revoke(&'a str),
    Abort(&'a str),
    /// The action on a task of this name that only a worker of Celery knows.
    Setting(Setting, &'a str),
    Workers,
    /// An action on a worker.
    Worker(&'a str),
    Queues,
}

/// Whether the answer waits for the task's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    ForResult,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    TimeLimit,
    RateLimit,
}

/// The parameters of the routes, in the order of a path.
const PARAMETERS: [&str; 4] = ["area", "action", "name", "more"];

/// What a request asks for.
///
/// # Errors
/// 404 for another path, 405 for another method.
pub(super) fn asked(request: &Request) -> Result<Asked<'_>, Failure> {
    let parts = parts(request);
    let (asked, method) = match *parts {
        ["healthcheck"] => (Asked::Health, Method::GET),
        ["metrics"] => (Asked::Metrics, Method::GET),
        ["api", ref rest @ ..] => api(rest).ok_or_else(not_found)?,
        _ => return Err(not_found()),
    };
    match method == request.method() {
        true => Ok(asked),
        false => Err(Failure::Refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method Not Allowed".to_owned(),
        )),
    }
}

fn api<'a>(parts: &[&'a str]) -> Option<(Asked<'a>, Method)> {
    let get = |asked| Some((asked, Method::GET));
    let post = |asked| Some((asked, Method::POST));
    match *parts {
        ["tasks"] => get(Asked::Tasks),
        ["workers"] => get(Asked::Workers),
        ["task", "types"] => get(Asked::Types),
        ["queues", "length"] => get(Asked::Queues),
        ["task", "info", id] => get(Asked::Info(id)),
        ["task", "result", id] => get(Asked::Result(id)),
        ["task", "apply", name] => post(Asked::Apply(Wait::ForResult, name)),
        ["task", "async-apply", name] => post(Asked::Apply(Wait::No, name)),
        ["task", "send-task", name] => post(Asked::Send(name)),
        ["task", "revoke", id] => post(Asked::Revoke(id)),
        ["task", "abort", id] => post(Asked::Abort(id)),
        ["task", "timeout", name] => post(Asked::Setting(Setting::TimeLimit, name)),
        ["task", "rate-limit", name] => post(Asked::Setting(Setting::RateLimit, name)),
        ["worker", "shutdown", worker] => post(Asked::Worker(worker)),
        [
            "worker",
            "pool",
            "restart" | "grow" | "shrink" | "autoscale",
            worker,
        ] => post(Asked::Worker(worker)),
        [
            "worker",
            "queue",
            "add-consumer" | "cancel-consumer",
            worker,
        ] => post(Asked::Worker(worker)),
        _ => None,
    }
}

/// The parts of the path behind a stage or a base path. The gateway's parameters tell where the route begins; the
/// path does for a request without them.
fn parts(request: &Request) -> Vec<&str> {
    let path = request.path().trim_end_matches('/');
    let parameters = request.path_parameters_ref();
    let values: Vec<&str> = PARAMETERS
        .iter()
        .map_while(|name| parameters?.first(name))
        .collect();
    if !values.is_empty() {
        return [&["api"], &*values].concat();
    }
    match path.split_once("/api/") {
        Some((_, rest)) => ["api"].into_iter().chain(rest.split('/')).collect(),
        None => path.rsplit('/').take(1).collect(),
    }
}

fn not_found() -> Failure {
    Failure::Refused(StatusCode::NOT_FOUND, "Not Found".to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

    use super::*;
    use crate::web::request::from_event;

    fn request(method: &str, path: &str, parameters: &[&str]) -> Request {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_path = Some(path.to_owned());
        event.request_context.http.method = method.parse().unwrap();
        let named = PARAMETERS.iter().zip(parameters);
        let named = named.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        event.path_parameters = named.collect::<HashMap<_, _>>();
        from_event(event, "/api/{area}")
    }

    #[test]
    fn a_path_is_one_of_flowers() {
        for (path, parameters, expected) in [
            ("/v1/api/tasks", &["tasks"][..], Asked::Tasks),
            ("/api/api/tasks", &["tasks"], Asked::Tasks),
            ("/api/tasks/", &[], Asked::Tasks),
            (
                "/api/task/info/tasks",
                &["task", "info", "tasks"],
                Asked::Info("tasks"),
            ),
            ("/v1/api/task/result/a b", &[], Asked::Result("a b")),
            ("/v1/healthcheck", &[], Asked::Health),
            ("/metrics", &[], Asked::Metrics),
        ] {
            let request = request("GET", path, parameters);
            assert_eq!(asked(&request).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn another_path_or_method_is_refused() {
        for (method, path, status) in [
            ("GET", "/api/nope", 404),
            ("GET", "/nope", 404),
            ("GET", "/api/task/info", 404),
            ("POST", "/api/tasks", 405),
            ("GET", "/api/task/apply/app.add", 405),
            ("POST", "/metrics", 405),
        ] {
            let request = request(method, path, &[]);
            let refused = asked(&request).unwrap_err();
            assert!(
                matches!(refused, Failure::Refused(found, _) if found == status),
                "{path}: {refused:?}"
            );
        }
    }
}
