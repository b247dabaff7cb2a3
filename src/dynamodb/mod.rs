//! The common part of all tables: rows, errors, and refused conditions.
//!
//! Each table has one type, in the module of its domain. Each write is one conditional write that may
//! be repeated.

mod batch;
mod conflict;
mod put;
pub mod row;
#[cfg(test)]
pub(crate) mod testing;

pub use batch::{BATCH_KEYS, batch_get};
pub use put::ConditionalPut;
pub use row::Row;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::SdkConfig;

use self::conflict::RetryConflicts;

/// A client of DynamoDB, which also repeats calls that conflict with a transaction.
pub fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config);
    Client::from_conf(config.retry_classifier(RetryConflicts).build())
}

/// Why a call to a table failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row would exceed DynamoDB's limit of 400 KB.
    #[error("the row is larger than a table's row can be")]
    TooLarge,
    /// DynamoDB refused the call or did not answer, after the SDK's own retries.
    #[error("DynamoDB failed")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Other writers changed the row during each try of this write.
    #[error("the row is being changed")]
    Busy,
    /// DynamoDB refused to make two writes in one transaction, for another reason than the condition of the
    /// first. Nothing is written, and the first write may succeed by itself.
    #[error("the writes cannot be made in one transaction")]
    NotTogether,
    /// A row does not have the format of this program.
    #[error("a row of the table has another format: {0}")]
    Corrupt(String),
}

/// The error of a failed call. DynamoDB reports an oversized row as a validation error; only the
/// message distinguishes it from other validation errors.
pub fn call_error<E>(error: SdkError<E, HttpResponse>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let size = error.as_service_error().and_then(|error| error.message());
    match size {
        Some(message) if message.contains("Item size") => StoreError::TooLarge,
        _ => StoreError::Call(Box::new(error)),
    }
}

/// Whether a conditional write was done. A refused condition is no error.
///
/// # Errors
/// When the call failed for any other reason.
pub fn condition_held<O, E>(
    result: Result<O, SdkError<E, HttpResponse>>,
) -> Result<bool, StoreError>
where
    E: RefusedBy + std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(true),
        Err(error) => refused_by(error).map(|_| false),
    }
}

/// The row that refused a conditional write. The row is empty if no row exists, or if the call did not
/// request the old row.
///
/// # Errors
/// When the call failed for any other reason.
pub fn refused_by<E>(error: SdkError<E, HttpResponse>) -> Result<Row, StoreError>
where
    E: RefusedBy + std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error.as_service_error().and_then(RefusedBy::row) {
        Some(row) => Ok(row.clone()),
        None => Err(call_error(error)),
    }
}

/// The error types of conditional writes.
pub trait RefusedBy {
    /// The row that did not meet the condition.
    fn row(&self) -> Option<&Row>;
}

static NO_ROW: std::sync::LazyLock<Row> = std::sync::LazyLock::new(Row::new);

macro_rules! refused_by {
    ($($error:ident)+) => {$(
        impl RefusedBy for $error {
            fn row(&self) -> Option<&Row> {
                match self {
                    $error::ConditionalCheckFailedException(refused) => {
                        Some(refused.item().unwrap_or(&NO_ROW))
                    }
                    _ => None,
                }
            }
        }
    )+};
}

refused_by! { PutItemError UpdateItemError DeleteItemError }
