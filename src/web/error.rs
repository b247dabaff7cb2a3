//! Errors in FastAPI's form: a public answer, and a private cause for the log. Only this module turns
//! errors of the layers below into answers.

mod bounds;

use std::error::Error;

use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use lambda_http::{Body, Response};

use super::answer::{self, ResponseExt};
use super::checks::pydantic;
use super::submission::IDEMPOTENCY_KEY;
use crate::celery::outbox::OutboxError;
use crate::documents::NotFinite;
use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::fetch::FetchError;
use crate::json::Json;
use crate::schedules::client::{MAX_DEFINITION, ScheduleError};
use crate::stats::StatsError;
use crate::tasks::client::SubmitError;
use crate::tasks::queue::QueueError;
use crate::tasks::store::MAX_INPUT;
use crate::users::{UpstreamError, UsersError};

/// A step in the location of a wrong value, such as `"query"`, `"limit"` or an index.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Loc {
    /// A name.
    Name(String),
    /// An index in a list, or a position in a text, in characters.
    Index(usize),
}

impl From<&str> for Loc {
    fn from(name: &str) -> Loc {
        Loc::Name(name.to_owned())
    }
}

impl From<usize> for Loc {
    fn from(index: usize) -> Loc {
        Loc::Index(index)
    }
}

/// One entry of a 422's `detail`: Pydantic's error, its keys in Pydantic's order.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ValidationError)]
pub struct FieldError {
    #[serde(rename = "type")]
    kind: &'static str,
    loc: Vec<Loc>,
    msg: String,
    #[schema(value_type = Option<serde_json::Value>)]
    input: Json,
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Json>,
}

impl FieldError {
    /// An error of Pydantic's type `kind` at `loc`. `input` is the wrong value, replaced by null if the
    /// value contains a `NaN`, which JSON cannot express.
    pub fn new(
        kind: &'static str,
        loc: impl IntoIterator<Item = Loc>,
        msg: impl Into<String>,
        input: impl Into<Json>,
    ) -> FieldError {
        let loc = loc.into_iter().collect();
        let input: Json = input.into();
        FieldError {
            kind,
            loc,
            msg: msg.into(),
            input: if input.is_finite() { input } else { Json::Null },
            ctx: None,
        }
    }

    /// Adds Pydantic's `ctx`.
    pub fn with_ctx(mut self, ctx: Json) -> FieldError {
        self.ctx = Some(ctx);
        self
    }

    /// Whether `input` contains U+FFFD, which may replace half of a surrogate pair.
    pub(super) fn echoes_replacement(&self) -> bool {
        let text = self.input.to_text().unwrap_or_default();
        text.contains('\u{fffd}')
    }
}

/// An error answer to a request.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    detail: Detail,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Fields(Vec<FieldError>),
}

impl HttpError {
    /// A status with `{"detail": text}`. The caller reads the text, so it must contain nothing private.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> HttpError {
        HttpError {
            status,
            detail: Detail::Text(detail.into()),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// 404 in FastAPI's form.
    pub fn not_found(detail: &str) -> HttpError {
        HttpError::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: the state of the resource does not allow the request.
    pub fn conflict(detail: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::CONFLICT, detail)
    }

    /// 413: the body of the request is too large to be stored.
    pub fn too_large(detail: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 422 with a list of errors, of which large ones are cut and the last of very many left out.
    pub fn invalid(errors: Vec<FieldError>) -> HttpError {
        HttpError {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: Detail::Fields(bounds::bounded(errors)),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// 502: another service gave a wrong answer.
    pub fn bad_gateway(detail: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::BAD_GATEWAY, detail)
    }

    /// 503: an AWS service does not answer. A retry may help.
    pub fn unavailable(cause: impl Error + Send + Sync + 'static) -> HttpError {
        HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Service temporarily unavailable",
        )
        .with(RETRY_AFTER, HeaderValue::from_static("1"))
        .because(cause)
    }

    /// Adds a header to the answer.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> HttpError {
        self.headers.push((name, value));
        self
    }

    /// 500, as Starlette words it. The log has the cause.
    pub fn internal() -> HttpError {
        HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
    }

    /// Keeps the cause for the log. The caller never sees the cause.
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> HttpError {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Writes the cause to the log. Called once for each failed request, and nowhere else.
    pub(super) fn log(&self) {
        if let Some(cause) = &self.cause {
            let status = self.status.as_u16();
            tracing::warn!(status, cause = %Chain(cause.as_ref()), "a request failed");
        }
    }
}

impl From<HttpError> for Response<Body> {
    fn from(error: HttpError) -> Response<Body> {
        #[derive(Serialize)]
        struct Answer {
            detail: Detail,
        }
        let body = Answer {
            detail: error.detail,
        };
        let response = answer::json(error.status, &body);
        error
            .headers
            .into_iter()
            .fold(response, |response, (name, value)| {
                response.with(name, value)
            })
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> HttpError {
        match error {
            StoreError::TooLarge => HttpError::too_large("The document is larger than 400 KB"),
            error => HttpError::unavailable(error),
        }
    }
}

impl From<NotFinite> for HttpError {
    fn from(_: NotFinite) -> HttpError {
        let detail = "Out of range float values are not JSON compliant";
        HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl From<UsersError> for HttpError {
    fn from(error: UsersError) -> HttpError {
        match error {
            UsersError::Store(error) => error.into(),
            UsersError::Upstream(error) => error.into(),
            UsersError::NotFinite(error) => error.into(),
        }
    }
}

impl From<UpstreamError> for HttpError {
    fn from(error: UpstreamError) -> HttpError {
        let (status, detail) = match &error {
            UpstreamError::Fetch(error) if error.status() == 504 => (
                StatusCode::GATEWAY_TIMEOUT,
                "The users' upstream did not answer in time",
            ),
            // This service failed before anybody was asked: the alarm on its own failures counts it.
            UpstreamError::Fetch(error) if error.status() == 500 => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
            _ => (StatusCode::BAD_GATEWAY, "The users' upstream failed"),
        };
        HttpError::new(status, detail).because(error)
    }
}

impl From<FetchError> for HttpError {
    fn from(error: FetchError) -> HttpError {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        HttpError::new(status, error.to_string())
    }
}

impl From<ScheduleError> for HttpError {
    fn from(error: ScheduleError) -> HttpError {
        let invalid = |loc: Vec<Loc>, reason: String| {
            HttpError::invalid(vec![pydantic::value(loc, &reason, Json::Null)])
        };
        let of_celery = || vec!["body".into(), "celery".into()];
        match error {
            ScheduleError::Taken => HttpError::conflict("A schedule with this name exists"),
            ScheduleError::Unknown => HttpError::not_found("Schedule not found"),
            ScheduleError::Version(version) => {
                let detail = format!("The schedule has version {version}");
                HttpError::new(StatusCode::PRECONDITION_FAILED, detail)
            }
            ScheduleError::TooLarge => {
                let most = MAX_DEFINITION / 1024;
                HttpError::too_large(format!("The schedule is larger than {most} KB"))
            }
            ScheduleError::Rule(error) => {
                invalid(vec!["body".into(), "rule".into()], error.to_string())
            }
            ScheduleError::NoCelery | ScheduleError::Unsendable(_) => {
                invalid(of_celery(), error.to_string())
            }
            ScheduleError::Outbox(OutboxError::UnknownQueue(_)) => {
                invalid(of_celery(), error.to_string())
            }
            ScheduleError::Store(error) => error.into(),
            ScheduleError::Submit(error) => error.into(),
            ScheduleError::Outbox(error) => HttpError::unavailable(error),
        }
    }
}

impl From<StatsError> for HttpError {
    fn from(error: StatsError) -> HttpError {
        HttpError::unavailable(error)
    }
}

impl From<SubmitError> for HttpError {
    fn from(error: SubmitError) -> HttpError {
        match error {
            SubmitError::TooLarge | SubmitError::Queue(QueueError::TooLarge { .. }) => {
                let most = MAX_INPUT / (1024 * 1024);
                HttpError::too_large(format!("The input is larger than {most} MB"))
            }
            SubmitError::Different => {
                let loc = ["header".into(), IDEMPOTENCY_KEY.into()];
                let msg = "Value error, the key was used for a different request";
                let error = FieldError::new("value_error", loc, msg, Json::Null);
                HttpError::invalid(vec![error])
            }
            SubmitError::Queue(error) => HttpError::unavailable(error),
            SubmitError::Store(error) => HttpError::unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The alarm that rolls deployments back counts 500 and 503 (`infra/monitoring.yaml`).
    #[test]
    fn a_failure_of_another_service_is_no_status_of_our_own() {
        let of_others = || {
            [
                FetchError::Dns,
                FetchError::Connect,
                FetchError::Timeout,
                FetchError::Interrupted,
                FetchError::Protocol,
                FetchError::Tls("x"),
                FetchError::BodyTooLarge(1),
                FetchError::BadEncoding,
            ]
        };
        let upstream = of_others().map(|error| HttpError::from(UpstreamError::Fetch(error)));
        let statuses = [UpstreamError::Status(500), UpstreamError::Status(503)];
        let others = of_others()
            .map(HttpError::from)
            .into_iter()
            .chain(upstream)
            .chain(statuses.map(HttpError::from))
            .chain([HttpError::from(UpstreamError::NotAnObject)]);
        for error in others {
            let status = error.status().as_u16();
            assert!([502, 504].contains(&status), "{status}: {error:?}");
        }
        let own = [
            HttpError::from(FetchError::Setup),
            HttpError::from(UpstreamError::Fetch(FetchError::Setup)),
            HttpError::from(StoreError::Busy),
        ];
        let own = own.map(|error| error.status().as_u16());
        assert_eq!(own, [500, 500, 503]);
    }
}
