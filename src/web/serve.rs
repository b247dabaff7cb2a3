//! Connects a handler to the Lambda runtime.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use http::header::SET_COOKIE;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::{Body, LambdaEvent, Request, RequestExt, Response, service_fn};
use lambda_runtime::Error;
use serde_json::value::RawValue;

use super::answer;
use super::error::HttpError;
use super::extract::arrival;
use super::guard::Guard;
use super::request::{self, Arrival};

/// Answers requests to `route` with `handler` until Lambda ends the process. `parts` is what the
/// handler works with. The handler is given only the requests that `guard` admits.
///
/// Not `lambda_http::run`: its conversion of events panics on some (see
/// [`request::from_event`]).
///
/// # Errors
/// When the Lambda Runtime API cannot be reached.
pub async fn serve<P, H>(
    guard: Guard,
    route: &'static str,
    parts: P,
    handler: H,
) -> Result<(), Error>
where
    H: AsyncFn(&P, Request) -> Result<Response<Body>, HttpError>,
{
    let (guard, parts, handler) = (&guard, &parts, &handler);
    // The runtime is asked for the event's text: its own way to a typed event tracks the place of each
    // member, which is a tenth of the CPU time of a small request.
    let respond = async |event: LambdaEvent<Box<RawValue>>| {
        let LambdaEvent { payload, context } = event;
        let event: ApiGatewayV2httpRequest = serde_json::from_str(payload.get())?;
        let request = request::from_event(event, route).with_lambda_context(context);
        let response = respond(guard, parts, handler, request).await;
        Ok::<ApiGatewayV2httpResponse, Error>(into_event(response))
    };
    lambda_runtime::run(service_fn(respond)).await
}

/// One request to one response, whatever the handler does.
async fn respond<P, H>(guard: &Guard, parts: &P, handler: &H, request: Request) -> Response<Body>
where
    H: AsyncFn(&P, Request) -> Result<Response<Body>, HttpError>,
{
    let started = Instant::now();
    let (method, route) = (request.method().clone(), arrival(&request).route);
    // A panic is a bug that does not concern the next request: the handler holds no state of its own
    // that a panic could leave half changed.
    // Boxed, since the type of a future that calls the SDK is too deep for the compiler to lay out
    // within the runtime's own.
    let handling: LocalBoxFuture<'_, _> = match admitted(guard, request) {
        Err(refusal) => Box::pin(async { Err(refusal) }),
        Ok(request) => Box::pin(handler(parts, request)),
    };
    let handled = AssertUnwindSafe(handling).catch_unwind().await;
    let response = match handled {
        Ok(Ok(response)) => bounded(response),
        Ok(Err(error)) => {
            error.log();
            error.into()
        }
        Err(_) => {
            tracing::error!("the handler panicked");
            answer::internal_error()
        }
    };
    let (status, milliseconds) = (
        response.status().as_u16(),
        started.elapsed().as_millis() as u64,
    );
    tracing::info!(%method, route, status, milliseconds, "answered");
    response
}

/// The request with the caller whom the guard knows.
fn admitted(guard: &Guard, mut request: Request) -> Result<Request, HttpError> {
    let context = request.request_context_ref();
    let authorizer = context.and_then(|context| context.authorizer());
    let admitted = guard.admit(request.method(), authorizer)?;
    if let Some(arrival) = request.extensions_mut().get_mut::<Arrival>() {
        arrival.admitted = admitted;
    }
    if is_misrouted(&request) {
        return Err(HttpError::not_found("Not Found"));
    }
    Ok(request)
}

/// Whether FastAPI would match another route, or none: FastAPI looks for slashes after decoding, some
/// gateways before.
fn is_misrouted(request: &Request) -> bool {
    let parameters = request.path_parameters_ref().into_iter();
    let mut parameters = parameters.flat_map(|parameters| parameters.iter());
    parameters.any(|(_, text)| text.contains('/'))
}

/// A response over Lambda's limit would reach the caller as a 500 without a reason.
fn bounded(response: Response<Body>) -> Response<Body> {
    if answer::fits_lambda(response.body()) {
        return response;
    }
    let bytes = response.body().len();
    tracing::warn!(bytes, "the answer is over Lambda's 6 MB");
    let detail = "The answer is larger than 6 MB";
    HttpError::new(StatusCode::BAD_GATEWAY, detail).into()
}

/// The function's response in payload format 2.0, in which cookies have a place of their own.
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
    use super::*;
    use crate::config::Config;
    use crate::web::answer::text_of;
    use crate::web::guard::Access;

    fn open() -> Guard {
        Guard::new(&Config::from([]), Access::Everybody).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_one_requests_500() {
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
    async fn an_answer_over_the_limit_says_so() {
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
    async fn a_handler_is_not_asked_for_those_who_are_refused() {
        let guard = Guard::new(&Config::from([]), Access::Callers).unwrap();
        let handler =
            async |_: &(), _| -> Result<Response<Body>, HttpError> { panic!("it was asked") };
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
