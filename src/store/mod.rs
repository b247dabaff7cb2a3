//! The only DynamoDB code.
//!
//! Each table has one type here, and each write is one conditional call that may be repeated.

pub mod api_keys;
mod cursor;
mod documents;
mod items;
mod keys;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testing;
mod users;

pub use api_keys::ApiKeyStore;
pub use cursor::Cursor;
pub use documents::Page;
pub use items::ItemStore;
pub use tasks::{ClaimOutcome, Fenced, Lease, TaskStore};
pub use users::{StoredUser, UserStore};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What was to be written is over DynamoDB's 400 KB for one row.
    #[error("the row is larger than a table's row can be")]
    TooLarge,
    /// DynamoDB refused or did not answer, after the SDK's own retries.
    #[error("DynamoDB failed")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row was changed by others again and again while it was to be written.
    #[error("the row is being changed")]
    Busy,
    /// A row does not have the form that this program writes.
    #[error("a row of the table is not as it was written: {0}")]
    Corrupt(String),
}

/// What a refused size looks like: DynamoDB has one error type for all that is wrong with a call.
fn call_error<E>(error: SdkError<E, HttpResponse>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let size = error.as_service_error().and_then(|error| error.message());
    match size {
        Some(message) if message.contains("Item size") => StoreError::TooLarge,
        _ => StoreError::Call(Box::new(error)),
    }
}

/// Whether a conditional write was done; that its condition did not hold is no error.
fn condition_held<O, E>(result: Result<O, SdkError<E, HttpResponse>>) -> Result<bool, StoreError>
where
    E: RefusedBy + std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(true),
        Err(error) => refused_by(error).map(|_| false),
    }
}

/// The row that a conditional write was refused by (empty where the call did not ask for it or
/// there is none); any other error stays one.
fn refused_by<E>(error: SdkError<E, HttpResponse>) -> Result<keys::Row, StoreError>
where
    E: RefusedBy + std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match error.as_service_error().and_then(RefusedBy::row) {
        Some(row) => Ok(row.clone()),
        None => Err(call_error(error)),
    }
}

/// Errors of conditional writes.
trait RefusedBy {
    /// The row that did not meet the condition.
    fn row(&self) -> Option<&keys::Row>;
}

static NO_ROW: std::sync::LazyLock<keys::Row> = std::sync::LazyLock::new(keys::Row::new);

macro_rules! refused_by {
    ($($error:ident)+) => {$(
        impl RefusedBy for $error {
            fn row(&self) -> Option<&keys::Row> {
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

impl From<StoreError> for crate::http::HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge => {
                crate::http::HttpError::too_large("The document is larger than 400 KB")
            }
            error => crate::http::HttpError::unavailable(error),
        }
    }
}
