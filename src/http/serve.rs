//! Connects a handler to the Lambda runtime.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

use super::{Answer, HttpError, Request};
use crate::App;
use crate::auth::guard::{Access, Guard};

/// Answers requests to `route` with `handler` until Lambda ends the process. `parts` is what the
/// handler works with, built by `app` once per process. The handler is given only requests of callers who may
/// make them.
///
/// # Errors
/// When the configuration of the access is wrong, or the Lambda Runtime API cannot be reached.
pub async fn serve<P, H>(
    app: &App,
    route: &'static str,
    parts: P,
    handler: H,
) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(&P, Request) -> Result<Answer, HttpError>,
{
    serve_to(app, Access::Callers, route, parts, handler).await
}

/// As [`serve`], for those whom `access` says.
///
/// # Errors
/// As [`serve`].
pub async fn serve_to<P, H>(
    app: &App,
    access: Access,
    route: &'static str,
    parts: P,
    handler: H,
) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(&P, Request) -> Result<Answer, HttpError>,
{
    let guard = &Guard::new(app.config(), access)?;
    app.connect().await;
    let (parts, handler) = (&parts, &handler);
    // Taken as it is: the runtime's own way to a type notes where in the event it is for each member,
    // which is a tenth of what a small request costs.
    let respond = async |event: LambdaEvent<Box<RawValue>>| {
        let event: ApiGatewayV2httpRequest = serde_json::from_str(event.payload.get())?;
        let request = Request::from_event(event, route);
        let answer = respond(guard, parts, handler, request).await;
        Ok::<ApiGatewayV2httpResponse, lambda_runtime::Error>(answer.into())
    };
    lambda_runtime::run(service_fn(respond)).await
}

/// One request to one answer, whatever the handler does.
async fn respond<P, H>(guard: &Guard, parts: &P, handler: &H, request: Request) -> Answer
where
    H: AsyncFn(&P, Request) -> Result<Answer, HttpError>,
{
    let started = Instant::now();
    let (method, route) = (request.method.clone(), request.route);
    // A panic is a bug, and the next request has nothing to do with it: the handler holds no
    // state of its own that a panic could leave half changed.
    // Boxed, since the type of a future that calls the SDK is too deep for the compiler to lay
    // out within the runtime's own.
    let handling: LocalBoxFuture<'_, _> = match request.admitted_by(guard) {
        Err(refusal) => Box::pin(async { Err(refusal) }),
        Ok(request) if request.is_misrouted() => {
            Box::pin(async { Err(HttpError::not_found("Not Found")) })
        }
        Ok(request) => Box::pin(handler(parts, request)),
    };
    let handled = AssertUnwindSafe(handling).catch_unwind().await;
    let answer = match handled {
        Ok(Ok(answer)) => bounded(answer),
        Ok(Err(error)) => {
            error.log();
            error.into()
        }
        Err(_) => {
            tracing::error!("the handler panicked");
            Answer::internal_error()
        }
    };
    let (status, milliseconds) = (
        answer.status().as_u16(),
        started.elapsed().as_millis() as u64,
    );
    tracing::info!(%method, route, status, milliseconds, "answered");
    answer
}

/// An answer over Lambda's limit would reach the caller as a 500 without a reason.
fn bounded(answer: Answer) -> Answer {
    if answer.fits_lambda() {
        return answer;
    }
    tracing::warn!(
        bytes = answer.body().len(),
        "the answer is over Lambda's 6 MB"
    );
    HttpError::new(
        http::StatusCode::BAD_GATEWAY,
        "The answer is larger than 6 MB",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn open() -> Guard {
        Guard::new(&Config::from([]), Access::Everybody).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_one_requests_500() {
        let handler = async |_: &(), request: Request| -> Result<Answer, HttpError> {
            assert!(request.path.is_empty(), "a bug");
            Ok(Answer::ok(&1))
        };
        let request = |path: &str| {
            let mut event = ApiGatewayV2httpRequest::default();
            event.raw_path = Some(path.to_owned());
            Request::from_event(event, "/x")
        };
        let answer = respond(&open(), &(), &handler, request("/x")).await;
        assert_eq!(
            (answer.status().as_u16(), answer.body()),
            (500, "Internal Server Error")
        );
        assert_eq!(
            respond(&open(), &(), &handler, request("")).await.body(),
            "1"
        );
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_says_so() {
        let quotes = "\"".repeat(3 * 1024 * 1024);
        let handler = async |_: &(), _| Ok(Answer::ok(&quotes));
        let answer = respond(&open(), &(), &handler, Request::default()).await;
        assert_eq!(answer.status(), 502);
        assert_eq!(
            answer.body(),
            r#"{"detail":"The answer is larger than 6 MB"}"#
        );
    }

    #[tokio::test]
    async fn a_handler_is_not_asked_for_those_who_are_refused() {
        let guard = Guard::new(&Config::from([]), Access::Callers).unwrap();
        let handler = async |_: &(), _| -> Result<Answer, HttpError> { panic!("it was asked") };
        let answer = respond(&guard, &(), &handler, Request::default()).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.body(), r#"{"detail":"Not authenticated"}"#);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
}
