//! Connects a handler to the Lambda runtime.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::request::RequestContext;
use lambda_http::{Body, LambdaEvent, Request, RequestExt, Response, service_fn};
use lambda_runtime::Error;
use serde_json::value::RawValue;

use super::answer;
use super::error::HttpError;
use super::event::{self, Event};
use super::extract::{Extract, metadata};
use super::guard::Guard;
use super::request::{self, Metadata};

/// Answers requests to `route` with `handler` until Lambda ends the process. `parts` are the stores and
/// clients of the handler. The handler sees only requests that `guard` admits. An event that is not a
/// request, such as the ping of a tool that keeps functions warm, is answered with null.
///
/// `lambda_http::run` is not used, since its conversion panics on some events (see
/// [`request::from_event`]).
///
/// # Errors
/// When the Lambda Runtime API cannot be reached.
pub async fn serve<P, H>(
    guard: Guard<'_>,
    route: &'static str,
    parts: P,
    handler: H,
) -> Result<(), Error>
where
    H: AsyncFn(&P, Request) -> Result<Response<Body>, HttpError>,
{
    let (guard, parts, handler) = (&guard, &parts, &handler);
    // Takes the event as text: the runtime's own deserialization of a typed event tracks the path of
    // each member, which is a tenth of the CPU time of a small request.
    let respond = async |event: LambdaEvent<Box<RawValue>>| {
        let LambdaEvent { payload, context } = event;
        let Event::Request(event) = event::read(payload.get())? else {
            return Ok(None);
        };
        let mut request = request::from_event(*event, route).with_lambda_context(context);
        if let Some(metadata) = request.extensions_mut().get_mut::<Metadata>() {
            metadata.event = Some(payload);
        }
        let response = respond(guard, parts, handler, request).await;
        Ok::<Option<ApiGatewayV2httpResponse>, Error>(Some(into_event(response)))
    };
    lambda_runtime::run(service_fn(respond)).await
}

/// The response to a request, also if the handler fails or panics.
async fn respond<P, H>(
    guard: &Guard<'_>,
    parts: &P,
    handler: &H,
    request: Request,
) -> Response<Body>
where
    H: AsyncFn(&P, Request) -> Result<Response<Body>, HttpError>,
{
    let started = Instant::now();
    let (method, route) = (request.method().clone(), metadata(&request).route);
    // After a panic the process goes on with the next request: the handler has no state that a panic
    // could leave half changed.
    // Boxed: the compiler cannot lay out the type of a future with SDK calls inside of the runtime's own
    // future.
    let handling: LocalBoxFuture<'_, _> = match admitted(guard, request).await {
        Err(refusal) => Box::pin(async { Err(refusal) }),
        Ok(request) => Box::pin(handler(parts, request)),
    };
    let handled = AssertUnwindSafe(handling).catch_unwind().await;
    let response = match handled {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            error.log();
            error.into()
        }
        Err(_) => {
            tracing::error!("the handler panicked");
            answer::internal_error()
        }
    };
    let response = within_lambda_limit(response);
    let (status, milliseconds) = (
        response.status().as_u16(),
        started.elapsed().as_millis() as u64,
    );
    tracing::info!(%method, route, status, milliseconds, "answered");
    response
}

/// The request with its caller, if the guard admits the request.
async fn admitted(guard: &Guard<'_>, mut request: Request) -> Result<Request, HttpError> {
    let context = request.request_context_ref();
    let authorizer = context.and_then(|context| context.authorizer());
    let open = context.and_then(route_key);
    let open = open.and_then(|key| guard.admit_to_open(key));
    let admitted = match (open, authorizer) {
        (Some(admitted), _) => admitted,
        (None, None) if !guard.is_open() => {
            // Boxed: the check calls DynamoDB, and few requests need the check.
            let checked = Box::pin(guard.identify(request.headers())).await?;
            if checked.is_none() {
                redirect_to_authorizer(&request)?;
            }
            guard.admit(request.method(), checked.as_ref())?
        }
        (None, authorizer) => guard.admit(request.method(), authorizer)?,
    };
    if let Some(metadata) = request.extensions_mut().get_mut::<Metadata>() {
        metadata.admitted = admitted;
    }
    if is_misrouted(&request) {
        return Err(HttpError::not_found("Not Found"));
    }
    Ok(request)
}

/// The key of the route that the gateway matched, such as `GET /items`.
fn route_key(context: &RequestContext) -> Option<&str> {
    match context {
        RequestContext::ApiGatewayV2(context) => context.route_key.as_deref(),
        _ => None,
    }
}

/// A redirect, as the error, from a path with a trailing slash to the path without the slash: there the
/// gateway certainly has the authorizer, which alone can identify the caller.
fn redirect_to_authorizer(request: &Request) -> Result<(), HttpError> {
    let without = request.path().trim_end_matches('/');
    if without.is_empty() || without.len() == request.path().len() {
        return Ok(());
    }
    let redirect = HttpError::new(StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect");
    match HeaderValue::from_str(&request.url_at(without)) {
        Ok(url) => Err(redirect.with(LOCATION, url)),
        Err(_) => Ok(()),
    }
}

/// Whether FastAPI would match another route, or none: FastAPI matches the decoded path, some gateways
/// the escaped path, in which `%2F` is not a slash.
fn is_misrouted(request: &Request) -> bool {
    let parameters = request.path_parameters_ref().into_iter();
    let mut parameters = parameters.flat_map(|parameters| parameters.iter());
    parameters.any(|(_, text)| text.contains('/'))
}

/// The response, or 502 if the response exceeds Lambda's limit. Lambda's own answer would be a 500
/// without a reason. A failure keeps its status.
fn within_lambda_limit(response: Response<Body>) -> Response<Body> {
    if answer::fits_lambda(response.body()) {
        return response;
    }
    let bytes = response.body().len();
    tracing::warn!(bytes, "the answer is over Lambda's 6 MB");
    let detail = "The answer is larger than 6 MB";
    let status = match response.status() {
        status if status.is_client_error() || status.is_server_error() => status,
        _ => StatusCode::BAD_GATEWAY,
    };
    HttpError::new(status, detail).into()
}

/// The response in payload format 2.0, which has cookies in a list of their own.
fn into_event(response: Response<Body>) -> ApiGatewayV2httpResponse {
    let (mut parts, body) = response.into_parts();
    let mut event = ApiGatewayV2httpResponse::default();
    event.status_code = parts.status.as_u16().into();
    if parts.headers.contains_key(SET_COOKIE) {
        let cookies = parts.headers.get_all(SET_COOKIE).iter();
        let cookies = cookies.filter_map(|cookie| cookie.to_str().ok());
        event.cookies = cookies.map(str::to_owned).collect();
        parts.headers.remove(SET_COOKIE);
    }
    event.headers = parts.headers;
    event.is_base64_encoded = matches!(body, Body::Binary(_));
    event.body = Some(body).filter(|body| !body.is_empty());
    event
}

#[cfg(test)]
mod tests {
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

    use super::*;
    use crate::config::Config;
    use crate::web::answer::text_of;
    use crate::web::guard::Access;
    use crate::web::user;

    fn open() -> Guard<'static> {
        Guard::new(&Config::from([]), Access::Everybody).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_a_500_for_one_request_only() {
        let handler = async |_: &(), request: Request| -> Result<Response<Body>, HttpError> {
            assert!(request.raw_http_path().is_empty(), "a bug");
            Ok(answer::ok(&1))
        };
        let request = |path: &str| {
            let mut event = ApiGatewayV2httpRequest::default();
            event.raw_path = Some(path.to_owned());
            request::from_event(event, "/x")
        };
        let answer = respond(&open(), &(), &handler, request("/x")).await;
        assert_eq!(
            (answer.status().as_u16(), text_of(&answer)),
            (500, "Internal Server Error")
        );
        let answer = respond(&open(), &(), &handler, request("")).await;
        assert_eq!(text_of(&answer), "1");
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_of_lambda_is_a_502() {
        let quotes = "\"".repeat(3 * 1024 * 1024);
        let handler = async |_: &(), _| Ok(answer::ok(&quotes));
        let answer = respond(
            &open(),
            &(),
            &handler,
            request::from_event(ApiGatewayV2httpRequest::default(), "/x"),
        )
        .await;
        assert_eq!(answer.status(), 502);
        assert_eq!(
            text_of(&answer),
            r#"{"detail":"The answer is larger than 6 MB"}"#
        );
    }

    #[tokio::test]
    async fn an_error_over_the_limit_keeps_its_status() {
        let quotes = "\"".repeat(3 * 1024 * 1024);
        let handler = async |_: &(), _| -> Result<Response<Body>, HttpError> {
            Err(HttpError::conflict(quotes.as_str()))
        };
        let request = request::from_event(ApiGatewayV2httpRequest::default(), "/x");
        let answer = respond(&open(), &(), &handler, request).await;
        assert_eq!(answer.status(), 409);
        assert_eq!(
            text_of(&answer),
            r#"{"detail":"The answer is larger than 6 MB"}"#
        );
    }

    #[tokio::test]
    async fn a_wrong_body_of_many_short_texts_is_a_422_that_lambda_carries() {
        let texts = vec![r#""ab""#; 480_000].join(",");
        let mut event = ApiGatewayV2httpRequest::default();
        let json = HeaderValue::from_static("application/json");
        event.headers.insert(http::header::CONTENT_TYPE, json);
        event.body = Some(format!(r#"{{"name":[{texts}]}}"#));
        let handler = async |_: &(), request: Request| -> Result<Response<Body>, HttpError> {
            user::new_user(&request)?;
            Ok(answer::ok(&1))
        };
        let request = request::from_event(event, "/users");
        let answer = respond(&open(), &(), &handler, request).await;
        assert_eq!(answer.status(), 422);
        let body = text_of(&answer);
        assert!(body.len() < 10_000, "{} bytes", body.len());
        let detail: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            detail["detail"][0]["loc"],
            serde_json::json!(["body", "name"])
        );
        assert_eq!(detail["detail"][0]["type"], "string_type");
    }

    /// Without a check of keys: as with tokens, which only the gateway checks.
    #[tokio::test]
    async fn a_request_past_the_authorizer_is_redirected_to_the_authorizer() {
        let guard = Guard::new(&Config::from([]), Access::Callers).unwrap();
        let handler = async |_: &(), _| -> Result<Response<Body>, HttpError> {
            panic!("the handler was called")
        };
        for (path, location) in [
            ("/v1/items/", Some("http://a.example/v1/items?x=1")),
            ("/v1/items", None),
            ("/", None),
        ] {
            let mut event = ApiGatewayV2httpRequest::default();
            event.raw_path = Some(path.to_owned());
            event.raw_query_string = Some("x=1".to_owned());
            for (name, value) in [("host", "a.example"), ("x-forwarded-proto", "http")] {
                event.headers.insert(name, HeaderValue::from_static(value));
            }
            let request = request::from_event(event, "/items");
            let answer = respond(&guard, &(), &handler, request).await;
            let found = answer.headers().get(LOCATION);
            assert_eq!(found.map(|found| found.to_str().unwrap()), location);
            let status = if location.is_some() { 307 } else { 401 };
            assert_eq!(answer.status(), status, "{path}");
        }
    }

    #[tokio::test]
    async fn a_handler_sees_no_refused_request() {
        let guard = Guard::new(&Config::from([]), Access::Callers).unwrap();
        let handler = async |_: &(), _| -> Result<Response<Body>, HttpError> {
            panic!("the handler was called")
        };
        let answer = respond(
            &guard,
            &(),
            &handler,
            request::from_event(ApiGatewayV2httpRequest::default(), "/x"),
        )
        .await;
        assert_eq!(answer.status(), 401);
        assert_eq!(text_of(&answer), r#"{"detail":"Not authenticated"}"#);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
}
