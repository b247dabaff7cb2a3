//! Connects the consumer of a queue, the subscriber of a topic, or what a rule calls at its times, to the
//! Lambda runtime.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::future::LocalBoxFuture;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dynamodb::StoreError;
use crate::error::Chain;
use crate::tasks::worker::Delivery;

/// Calls `handler` with each batch of messages and the invocation's deadline, in milliseconds since the
/// Unix epoch, until Lambda ends the process. The handler returns the ids of the messages that SQS must
/// deliver again. Lambda acknowledges all other messages.
///
/// # Errors
/// When the Lambda Runtime API cannot be reached.
pub async fn run<H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(Vec<Delivery>, u64) -> Vec<String>,
{
    let handler = &handler;
    let consume = async |event: LambdaEvent<SqsEvent>| {
        let records = event.payload.records.into_iter();
        let batch = records.map(delivery).collect();
        // Boxed: the compiler cannot lay out the type of a future with SDK calls inside of the runtime's
        // own future.
        let handling: LocalBoxFuture<'_, _> = Box::pin(handler(batch, event.context.deadline));
        let failed = handling.await;
        Ok::<SqsBatchResponse, lambda_runtime::Error>(response(failed))
    };
    lambda_runtime::run(service_fn(consume)).await
}

/// The event of a topic. `aws_lambda_events` would bring a crate for the time of a message.
#[derive(Deserialize)]
struct Notifications {
    #[serde(rename = "Records")]
    records: Vec<Notification>,
}

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Sns")]
    sns: Published,
}

#[derive(Deserialize)]
struct Published {
    #[serde(rename = "Message")]
    message: String,
}

/// Calls `handler` with each message of a topic, until Lambda ends the process. After an error of the
/// handler, Lambda calls it with the same message up to two times more.
///
/// # Errors
/// When the Lambda Runtime API cannot be reached.
pub async fn run_notified<H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(&str) -> Result<(), StoreError>,
{
    let handler = &handler;
    let handle = async |event: LambdaEvent<Notifications>| {
        for notification in event.payload.records {
            // Boxed as in `run`.
            let handling: LocalBoxFuture<'_, _> = Box::pin(handler(&notification.sns.message));
            if let Err(error) = handling.await {
                tracing::error!(error = %Chain(&error), "a message of the topic failed");
                return Err(error.into());
            }
        }
        Ok::<(), lambda_runtime::Error>(())
    };
    lambda_runtime::run(service_fn(handle)).await
}

/// Calls `handler` at each time of an EventBridge rule, with the invocation's deadline in milliseconds since
/// the Unix epoch, until Lambda ends the process. After an error of the handler, Lambda calls it up to two
/// times more.
///
/// # Errors
/// When the Lambda Runtime API cannot be reached.
pub async fn run_timed<H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(u64) -> Result<(), StoreError>,
{
    let handler = &handler;
    let handle = async |event: LambdaEvent<IgnoredAny>| {
        // Boxed as in `run`.
        let handling: LocalBoxFuture<'_, _> = Box::pin(handler(event.context.deadline));
        if let Err(error) = handling.await {
            tracing::error!(error = %Chain(&error), "a tick failed");
            return Err(error.into());
        }
        Ok::<(), lambda_runtime::Error>(())
    };
    lambda_runtime::run(service_fn(handle)).await
}

fn delivery(record: SqsMessage) -> Delivery {
    let sent_at = record.attributes.get("SentTimestamp");
    let deliveries = record.attributes.get("ApproximateReceiveCount");
    Delivery {
        sent_at: sent_at.and_then(|time| time.parse().ok()),
        deliveries: deliveries.and_then(|count| count.parse().ok()).unwrap_or(0),
        id: record.message_id.unwrap_or_default(),
        source: record.event_source_arn.unwrap_or_default(),
        receipt: record.receipt_handle.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
    }
}

/// A partial batch response: the ids of the messages to be delivered again.
fn response(failed: Vec<String>) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for id in failed {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        response.batch_item_failures.push(failure);
    }
    response
}
