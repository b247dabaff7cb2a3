//! HTTP behind API Gateway: what a request holds, how it is checked, and what is answered.
//!
//! A handler takes a [`Request`], reads its parts (`path_int`, `query_or`, `body_object`, …)
//! through [`all`], so that every error of a request is listed in FastAPI's order, and gives an
//! [`Answer`] or an [`HttpError`]. [`serve`] connects it to the Lambda runtime, behind a guard that
//! lets in only callers who may make the request.

mod answer;
mod error;
mod int;
pub mod openapi;
mod page;
mod params;
mod request;
mod serve;
mod upstream;

pub use ::http::{StatusCode, header};

pub use crate::auth::guard::Access;
pub use answer::Answer;
pub(crate) use error::Chain;
pub use error::{FieldError, HttpError, Loc};
pub use page::{PageQuery, next_link};
pub use params::{Checked, Rejection, all, gather};
pub use request::Request;
pub use serve::{serve, serve_to};
pub use upstream::json_of;
