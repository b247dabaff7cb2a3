//! Conflicts between a transaction and another write of the same row, which are tried again.

use std::time::Duration;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;
use aws_smithy_runtime_api::client::interceptors::context::{Error, InterceptorContext};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::retries::ErrorKind;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryReason,
};

/// Bounds of the random pause before a further try, in milliseconds. A transaction takes some ten
/// milliseconds, and two callers that conflicted must not meet again.
const PAUSE_MS: std::ops::Range<u64> = 10..150;

/// Codes of a cancelled transaction's reasons that say nothing about the rows: the same transaction
/// may succeed in a moment. DynamoDB's documentation of `TransactionCanceledException` lists the codes.
const TRANSIENT: [&str; 3] = [
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
];

/// The code of a reason that is none: this write of the transaction would have succeeded.
const NO_REASON: &str = "None";

/// Has the SDK repeat a write that met a transaction, and a transaction that met a write, as often as
/// other transient errors. The SDK itself takes both for final.
#[derive(Debug)]
pub struct RetryConflicts;

impl ClassifyRetry for RetryConflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err);
        let error = error.and_then(OrchestratorError::as_operation_error);
        if !error.is_some_and(is_conflict) {
            return RetryAction::NoActionIndicated;
        }
        RetryAction::RetryIndicated(RetryReason::RetryableError {
            kind: ErrorKind::TransientError,
            retry_after: Some(Duration::from_millis(fastrand::u64(PAUSE_MS))),
        })
    }

    fn name(&self) -> &'static str {
        "conflicts with transactions"
    }
}

fn is_conflict(error: &Error) -> bool {
    if let Some(error) = error.downcast_ref::<UpdateItemError>() {
        return error.is_transaction_conflict_exception();
    }
    if let Some(error) = error.downcast_ref::<PutItemError>() {
        return error.is_transaction_conflict_exception();
    }
    if let Some(error) = error.downcast_ref::<DeleteItemError>() {
        return error.is_transaction_conflict_exception();
    }
    match error.downcast_ref::<TransactWriteItemsError>() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            is_transient(cancelled.cancellation_reasons())
        }
        _ => false,
    }
}

/// Whether a transaction was cancelled for transient reasons alone. A condition that did not hold is
/// final, whatever happened to the other writes.
fn is_transient(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons
        .iter()
        .filter_map(CancellationReason::code)
        .filter(|code| *code != NO_REASON)
        .peekable();
    codes.peek().is_some() && codes.all(|code| TRANSIENT.contains(&code))
}
