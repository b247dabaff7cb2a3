//! Invokes the function of a route for a request that the gateway did not match.

use std::error::Error;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};
use http::StatusCode;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::{Body, Request, Response};
use serde_json::{Map, Value, json};

use super::table::FUNCTIONS;
use crate::invoke::{InvokeError, Invoker};
use crate::web::answer;
use crate::web::error::HttpError;
use crate::web::extract::metadata;

/// The alias of each function (`AutoPublishAlias` in `template.yaml`).
const ALIAS: &str = "live";

/// The functions of the routes, to be invoked.
#[derive(Debug)]
pub struct RouteFunctions {
    invoker: Invoker,
    /// The names on Lambda, in the order of [`FUNCTIONS`].
    names: Vec<String>,
}

/// The route of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The name of the function's file.
    pub function: &'static str,
    /// The route's path, without a trailing slash.
    pub route: &'static str,
    /// The part of the request's path in front of the route.
    pub prefix: &'a str,
    /// The rest of the request's path, without a trailing slash.
    pub path: &'a str,
}

impl RouteFunctions {
    /// The functions with these names on Lambda, separated by commas, in the order of the table.
    ///
    /// # Errors
    /// When there are too few or too many names.
    pub fn new(invoker: Invoker, names: &str) -> Result<RouteFunctions, String> {
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        match names.len() == FUNCTIONS.len() {
            true => Ok(RouteFunctions { invoker, names }),
            false => Err(format!(
                "it must have {} names, not {}",
                FUNCTIONS.len(),
                names.len()
            )),
        }
    }

    /// The name on Lambda of a target's function; `None` for a page of the documentation, whose function
    /// checks no caller. FastAPI redirects there too.
    pub(super) fn name(&self, target: &Target<'_>) -> Option<&str> {
        let at = FUNCTIONS.iter().position(|name| *name == target.function)?;
        self.names.get(at).map(String::as_str)
    }

    /// The answer of the target's function, which has this name on Lambda. The function checks the caller, because the event has no
    /// authorizer context.
    ///
    /// # Errors
    /// When the function does not answer.
    pub(super) async fn invoke(
        &self,
        request: &Request,
        target: &Target<'_>,
        name: &str,
    ) -> Result<Response<Body>, HttpError> {
        let event = metadata(request).event.as_deref();
        let event = event.and_then(|event| serde_json::from_str(event.get()).ok());
        let Some(event) = event else {
            return Err(HttpError::not_found("Not Found"));
        };
        let event = event_for(event, request.method().as_str(), target);
        let invoked = self.invoker.invoke(name, Some(ALIAS), event.to_string());
        let answer = invoked.await.map_err(|error| match error {
            InvokeError::Throttled => HttpError::unavailable(error),
            InvokeError::TooLarge => HttpError::too_large("The request is larger than 6 MB"),
            error => failed(error),
        })?;
        let answer: ApiGatewayV2httpResponse = serde_json::from_slice(&answer).map_err(failed)?;
        response(answer).map_err(failed)
    }
}

/// The gateway's answer to a function that fails, in the form of this service.
fn failed(cause: impl Error + Send + Sync + 'static) -> HttpError {
    HttpError::internal().because(cause)
}

/// The gateway's event for the route of `target`. An authorizer context of this function's own route,
/// if there is one, is not the target's.
fn event_for(mut event: Value, method: &str, target: &Target<'_>) -> Value {
    let key = format!("{method} {}", target.route);
    let path = format!("{}{}", target.prefix, target.path);
    event["routeKey"] = json!(key);
    event["rawPath"] = json!(path);
    let parameters = parameters(target);
    if !parameters.is_empty() {
        event["pathParameters"] = parameters.into();
    }
    if let Some(context) = event
        .get_mut("requestContext")
        .and_then(Value::as_object_mut)
    {
        context.remove("authorizer");
        context.insert("routeKey".to_owned(), json!(key));
        if let Some(http) = context.get_mut("http") {
            http["path"] = json!(path);
        }
    }
    event
}

/// The texts of the route's parameters in the path.
fn parameters(target: &Target<'_>) -> Map<String, Value> {
    let names = target.route.split('/');
    let texts = target.path.split('/');
    let pairs = names.zip(texts).filter_map(|(name, text)| {
        let name = name.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), json!(text)))
    });
    pairs.collect()
}

/// The response of a function in payload format 2.0.
///
/// # Errors
/// When the body is not base64 as the response says.
fn response(event: ApiGatewayV2httpResponse) -> Result<Response<Body>, DecodeError> {
    let status = u16::try_from(event.status_code).ok();
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = answer::empty(status.unwrap_or(StatusCode::BAD_GATEWAY));
    *response.headers_mut() = event.headers;
    for cookie in event.cookies {
        if let Ok(cookie) = cookie.parse() {
            response
                .headers_mut()
                .append(http::header::SET_COOKIE, cookie);
        }
    }
    *response.body_mut() = match event.body {
        Some(Body::Text(text)) if event.is_base64_encoded => STANDARD.decode(text)?.into(),
        Some(body) => body,
        None => Body::Empty,
    };
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(route: &'static str, prefix: &'static str, path: &'static str) -> Target<'static> {
        Target {
            function: "a",
            route,
            prefix,
            path,
        }
    }

    #[test]
    fn an_event_becomes_the_event_of_the_route() {
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/v1/tasks/a b/retry/",
            "rawQueryString": "x=1",
            "body": "{}",
            "requestContext": {
                "apiId": "a",
                "routeKey": "$default",
                "authorizer": {"lambda": {"caller": "somebody"}},
                "http": {"method": "POST", "path": "/v1/tasks/a b/retry/"},
            },
        });
        let target = target("/tasks/{task_id}/retry", "/v1", "/tasks/a b/retry");
        let expected = json!({
            "version": "2.0",
            "routeKey": "POST /tasks/{task_id}/retry",
            "rawPath": "/v1/tasks/a b/retry",
            "rawQueryString": "x=1",
            "pathParameters": {"task_id": "a b"},
            "body": "{}",
            "requestContext": {
                "apiId": "a",
                "routeKey": "POST /tasks/{task_id}/retry",
                "http": {"method": "POST", "path": "/v1/tasks/a b/retry"},
            },
        });
        assert_eq!(event_for(event, "POST", &target), expected);
    }

    #[test]
    fn a_route_without_parameters_has_none() {
        let event = event_for(json!({}), "GET", &target("/items", "", "/items"));
        assert_eq!(
            event,
            json!({"routeKey": "GET /items", "rawPath": "/items"})
        );
    }

    #[test]
    fn an_answer_is_handed_back_with_all_its_parts() {
        let answer = json!({
            "statusCode": 201,
            "headers": {"content-type": "text/plain", "location": "/x"},
            "multiValueHeaders": {},
            "cookies": ["a=1", "b=2"],
            "body": "aGk=",
            "isBase64Encoded": true,
        });
        let response = response(serde_json::from_value(answer).unwrap()).unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["location"], "/x");
        let cookies = response.headers().get_all("set-cookie").iter();
        assert_eq!(cookies.collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(*response.body(), Body::Binary(b"hi".to_vec()));
    }
}
