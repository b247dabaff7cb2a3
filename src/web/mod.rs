//! HTTP behind API Gateway: requests, FastAPI's checks and errors, answers.
//!
//! A handler takes a [`lambda_http::Request`] and reads its parts by [`Extract`] (`path_int`,
//! `query_optional`, `body_object`, …). [`all`] checks several parts at once and lists every error in
//! FastAPI's order. The handler returns a [`lambda_http::Response`] made by [`answer`], or an
//! [`HttpError`]. [`serve()`] connects the handler to the Lambda runtime, behind a [`guard`] that
//! authorizes the caller.
//!
//! * [`request`] makes a request of an event, [`extract`] reads the parts of a request, [`checks`]
//!   checks values with Pydantic's errors, [`error`] turns the errors of all layers into
//!   answers.
//! * [`page`], [`cursor`] and [`task_filter`] are for lists. [`submission`] reads a new task, [`progress`] a report of a
//!   task's progress, [`schedule`] a schedule, [`user`] a user, [`batch`] many new tasks, [`bulk`] an action on
//!   many tasks.
//!   [`task_view`], [`result_view`] and [`job_view`] show tasks and jobs, [`dead_letter`] dead letters,
//!   [`stats_view`] numbers.
//! * [`flower`] is Flower's REST API.
//! * [`routes`] answers requests without a matching route, [`docs`] serves the OpenAPI document and its
//!   pages, [`openapi`] describes the answers that many routes share.

pub mod answer;
pub mod batch;
pub mod bulk;
pub mod checks;
pub mod cursor;
pub mod dead_letter;
pub mod docs;
pub mod error;
mod event;
pub mod extract;
mod fetched;
pub mod flower;
pub mod guard;
pub mod job_view;
pub mod openapi;
pub mod page;
pub mod progress;
pub mod request;
pub mod result_view;
pub mod routes;
pub mod schedule;
pub mod serve;
pub mod stats_view;
pub mod submission;
pub mod task_filter;
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
