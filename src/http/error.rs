//! Errors as FastAPI words them: one public answer, and a private cause that is logged once.

use std::error::Error;

use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use crate::json::Json;

/// One step of the way to a wrong value, such as `"query"`, `"limit"` or a position.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Loc {
    /// A name.
    Name(String),
    /// An index of a list, or a position in a text, in characters.
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
    /// An error of Pydantic's type `kind` at `loc`; `input` is what was given there, or null where
    /// that has a `NaN`, which no answer can hold.
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

    /// Adds what Pydantic puts into `ctx`.
    pub fn with_ctx(mut self, ctx: Json) -> FieldError {
        self.ctx = Some(ctx);
        self
    }

    /// Whether what it echoes has a U+FFFD, which stands for half a character too.
    pub(super) fn echoes_replacement(&self) -> bool {
        let text = self.input.to_text().unwrap_or_default();
        text.contains('\u{fffd}')
    }

    /// Something required that is not there.
    pub fn missing(loc: impl IntoIterator<Item = Loc>, input: impl Into<Json>) -> FieldError {
        FieldError::new("missing", loc, "Field required", input)
    }
}

/// A request that is not answered as asked.
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
    /// A status with `{"detail": text}`. The text is for the caller: nothing private.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> HttpError {
        HttpError {
            status,
            detail: Detail::Text(detail.into()),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// 404 with FastAPI's shape.
    pub fn not_found(detail: &str) -> HttpError {
        HttpError::new(StatusCode::NOT_FOUND, detail)
    }

    /// 413: what was sent is larger than can be stored.
    pub fn too_large(detail: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 422 with a list of errors.
    pub fn invalid(errors: Vec<FieldError>) -> HttpError {
        HttpError {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: Detail::Fields(errors),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// 502: another service did not answer as it should.
    pub fn bad_gateway(detail: impl Into<String>) -> HttpError {
        HttpError::new(StatusCode::BAD_GATEWAY, detail)
    }

    /// 503: a part of AWS that the request needs does not answer; trying again may help.
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

    /// Keeps the cause for the log; the caller never sees it.
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> HttpError {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Writes the cause to the log. This is the one place where a request's failure is logged.
    pub(super) fn log(&self) {
        if let Some(cause) = &self.cause {
            let status = self.status.as_u16();
            tracing::warn!(status, cause = %Chain(cause.as_ref()), "a request failed");
        }
    }
}

impl From<HttpError> for Answer {
    fn from(error: HttpError) -> Answer {
        #[derive(Serialize)]
        struct Body {
            detail: Detail,
        }
        let answer = Answer::json(
            error.status,
            &Body {
                detail: error.detail,
            },
        );
        error
            .headers
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.with(name, value))
    }
}

/// An error with all its sources on one line; the AWS SDK's own text is only the outermost.
pub(crate) struct Chain<'a>(pub &'a (dyn Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
