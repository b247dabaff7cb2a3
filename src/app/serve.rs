//! The loops that answer the events of a function.

use crate::app::App;
use crate::config::ConfigError;
use crate::consumer;
use crate::dynamodb::StoreError;
use crate::tasks::worker::Delivery;
use crate::web::guard::{Access, Guard};
use crate::web::{self, HttpError};

impl App {
    /// Answers requests of authenticated callers to `route` with `handler`, until Lambda ends the process.
    /// `parts` are the stores and clients of the handler.
    ///
    /// # Errors
    /// When the configuration of the access is wrong, or the Lambda Runtime API cannot be reached.
    pub async fn serve<P, H>(
        &self,
        route: &'static str,
        parts: P,
        handler: H,
    ) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&P, web::Request) -> Result<web::Response<web::Body>, HttpError>,
    {
        let guard = self.guard_of_callers()?;
        self.connect().await;
        web::serve(guard, route, parts, handler).await
    }

    /// The guard of a route for authenticated callers.
    fn guard_of_callers(&self) -> Result<Guard<'_>, ConfigError> {
        let guard = Guard::new(&self.config, Access::Callers)?;
        Ok(guard.with_key_check(|| self.authorizer()))
    }

    /// As [`App::serve`], with another access than authenticated callers only. A request without an
    /// authorizer context is not checked by its key, so a function that is open to everybody is not
    /// linked with the AWS SDK.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_to<P, H>(
        &self,
        access: Access,
        route: &'static str,
        parts: P,
        handler: H,
    ) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&P, web::Request) -> Result<web::Response<web::Body>, HttpError>,
    {
        let guard = Guard::new(&self.config, access)?;
        self.connect().await;
        web::serve(guard, route, parts, handler).await
    }

    /// As [`App::serve`], for routes that are not in the OpenAPI document, some of them open to others than
    /// callers. These are named by their keys in the gateway, such as `GET /healthcheck`.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_undocumented<P, H>(
        &self,
        open: &[(Access, &'static str)],
        route: &'static str,
        parts: P,
        handler: H,
    ) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&P, web::Request) -> Result<web::Response<web::Body>, HttpError>,
    {
        let guard = self.guard_of_callers()?;
        let guard = guard.with_open_routes(&self.config, open)?;
        self.connect().await;
        web::serve(guard, route, parts, handler).await
    }

    /// Calls `handler` with each batch of a queue, until Lambda ends the process; see
    /// [`consumer::run`].
    ///
    /// # Errors
    /// When the Lambda Runtime API cannot be reached.
    pub async fn consume<H>(&self, handler: H) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(Vec<Delivery>, u64) -> Vec<String>,
    {
        self.connect().await;
        consumer::run(handler).await
    }

    /// Calls `handler` with each message of an SNS topic, until Lambda ends the process; see
    /// [`consumer::run_notified`].
    ///
    /// # Errors
    /// When the Lambda Runtime API cannot be reached.
    pub async fn notified<H>(&self, handler: H) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(&str) -> Result<(), StoreError>,
    {
        self.connect().await;
        consumer::run_notified(handler).await
    }

    /// Calls `handler` at each time of a rule, with the invocation's deadline, until Lambda ends the process;
    /// see [`consumer::run_timed`].
    ///
    /// # Errors
    /// When the Lambda Runtime API cannot be reached.
    pub async fn timed<H>(&self, handler: H) -> Result<(), lambda_runtime::Error>
    where
        H: AsyncFn(u64) -> Result<(), StoreError>,
    {
        self.connect().await;
        consumer::run_timed(handler).await
    }
}
