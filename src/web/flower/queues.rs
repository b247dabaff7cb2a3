//! `GET /api/queues/length`.

use lambda_http::{Body, Request, Response};

use super::Flower;
use super::failure::Failure;
use crate::json::Json;
use crate::tasks::depths::Depth;
use crate::web::{Extract, StatusCode, answer};

impl Flower {
    /// The messages that wait in each queue. They are everybody's, so only who sees all tasks sees their number.
    pub(super) async fn queue_lengths(&self, request: &Request) -> Result<Response<Body>, Failure> {
        let depths = self.depths(request).await?;
        let queues = depths.iter().map(|depth| {
            Json::object([
                ("name", Json::from(depth.name.as_str())),
                ("messages", depth.visible.into()),
            ])
        });
        let queues = Json::object([("active_queues", Json::array(queues))]);
        Ok(answer::raw(StatusCode::OK, queues.to_string()))
    }

    /// The depths of all queues, for who sees all tasks.
    pub(super) async fn depths(&self, request: &Request) -> Result<Vec<Depth>, Failure> {
        if request.viewer().only().is_some() {
            let reason = "The numbers of all tasks need a key with the scope admin";
            return Err(Failure::forbidden(reason));
        }
        self.queues.read().await.map_err(Failure::unavailable)
    }
}
