//! Refusals in Flower's words: plain text.

use http::StatusCode;
use lambda_http::{Body, Response};

use crate::celery::apply::ApplyError;
use crate::celery::outbox::OutboxError;
use crate::dynamodb::StoreError;
use crate::tasks::client::SubmitError;
use crate::tasks::queue::QueueError;
use crate::web::answer;
use crate::web::error::HttpError;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request is wrong, or asks for what there is not.
    Refused(StatusCode, String),
    /// An AWS service does not answer.
    Unavailable(HttpError),
}

impl Failure {
    pub fn bad(text: impl Into<String>) -> Failure {
        Failure::Refused(StatusCode::BAD_REQUEST, text.into())
    }

    pub fn forbidden(text: impl Into<String>) -> Failure {
        Failure::Refused(StatusCode::FORBIDDEN, text.into())
    }

    pub fn unknown(what: &str, name: &str) -> Failure {
        Failure::Refused(StatusCode::NOT_FOUND, format!("Unknown {what} '{name}'"))
    }

    /// An argument that has not the type of this name in Python.
    pub fn argument(given: &str, kind: &str) -> Failure {
        Failure::bad(format!("Invalid argument '{given}' of type '{kind}'"))
    }

    pub fn unavailable(cause: impl std::error::Error + Send + Sync + 'static) -> Failure {
        Failure::Unavailable(HttpError::unavailable(cause))
    }
}

impl From<Failure> for Response<Body> {
    fn from(failure: Failure) -> Response<Body> {
        match failure {
            Failure::Refused(status, text) => answer::plain(status, text),
            Failure::Unavailable(error) => {
                error.log();
                let text = "Broker or result backend unavailable";
                answer::plain(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::unavailable(error)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Failure {
        match error {
            ApplyError::Unsendable(_) | ApplyError::Refused(_) => Failure::bad(error.to_string()),
            ApplyError::Restricted(_) => Failure::forbidden(error.to_string()),
            ApplyError::Outbox(OutboxError::UnknownQueue(_) | OutboxError::Refused(_)) => {
                Failure::bad(error.to_string())
            }
            ApplyError::Submit(
                SubmitError::TooLarge | SubmitError::Queue(QueueError::TooLarge { .. }),
            ) => Failure::Refused(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            error => Failure::unavailable(error),
        }
    }
}
