//! HTTP behind API Gateway: requests, FastAPI's checks and errors, answers.
//!
//! A handler takes a [`lambda_http::Request`], reads its parts by [`Extract`] (`path_int`,
//! `query_optional`, `body_object`, …) through [`all`], which lists every error of a request in
//! FastAPI's order, and gives a [`lambda_http::Response`] made by [`answer`], or an [`HttpError`].
//! [`serve`] connects the handler to the Lambda runtime, behind a [`guard`] that admits only callers
//! who may make the request.
//!
//! * [`request`] makes a request of an event, [`extract`] reads its parts, [`checks`] has Pydantic's
//!   words, [`error`] turns the errors of all layers into answers.
//! * [`page`] and [`cursor`] are lists, [`submission`] reads a task to be run, [`user`] a user;
//!   [`task_view`], [`result_view`] and [`job_view`] show tasks and jobs.
//! * [`routes`] answers what no route takes, [`docs`] serves the OpenAPI document and its pages,
//!   [`openapi`] describes what routes have in common.

pub mod answer;
pub mod checks;
pub mod cursor;
pub mod docs;
pub mod error;
pub mod extract;
mod fetched;
pub mod guard;
pub mod job_view;
pub mod openapi;
pub mod page;
pub mod request;
pub mod result_view;
pub mod routes;
pub mod serve;
pub mod submission;
pub mod task_view;
pub mod user;

pub use http::StatusCode;
pub use lambda_http::{Body, Request, Response};

pub use answer::ResponseExt;
pub use checks::{Checked, Rejection, all};
pub use error::{FieldError, HttpError, Loc};
pub use extract::Extract;
pub use fetched::json_of;
pub use guard::Access;
pub use page::PageQuery;
pub use serve::serve;
