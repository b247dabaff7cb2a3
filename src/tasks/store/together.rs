//! An event on a task's record and a put into another table, in one transaction.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{self, TransactWriteItem};

use super::update::{Expressions, Update};
use crate::dynamodb::row::Row;
use crate::dynamodb::{ConditionalPut, StoreError, call_error};
use crate::error::Chain;

/// The code of a write whose condition did not hold.
const REFUSED: &str = "ConditionalCheckFailed";

impl Update {
    /// Makes the update and a put, or neither. The inner error is the row that refused the update's condition,
    /// whatever became of the put. The SDK repeats a call whose answer was lost under the same token, and
    /// DynamoDB then answers as the first time.
    ///
    /// # Errors
    /// [`StoreError::NotTogether`] if DynamoDB answered with another refusal: of the put's condition, of the
    /// put's table or the right to write to it, or of a conflict that outlasts the SDK's tries.
    pub async fn send_with(self, put: &ConditionalPut) -> Result<Result<(), Row>, StoreError> {
        let write = self.client().transact_write_items();
        let update = self.into_expressions().into_write()?;
        let put = put.clone().into_write()?;
        let write = write.transact_items(update).transact_items(put);
        // Boxed, since the future of a call has kilobytes, and each of its callers would have them too.
        let Err(error) = Box::pin(write.send()).await else {
            return Ok(Ok(()));
        };
        let Some(refusal) = error.as_service_error() else {
            return Err(call_error(error));
        };
        if let Some(row) = refused_by(refusal) {
            return Ok(Err(row));
        }
        tracing::warn!(error = %Chain(&error), "a task's end and its effect are written apart");
        Err(StoreError::NotTogether)
    }
}

impl Expressions {
    fn into_write(self) -> Result<TransactWriteItem, StoreError> {
        let update = types::Update::builder()
            .table_name(self.table)
            .set_key(Some(self.key))
            .return_values_on_condition_check_failure(AllOld)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .update_expression(self.update)
            .condition_expression(self.condition);
        let update = update
            .build()
            .map_err(|error| StoreError::Call(Box::new(error)))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// The row that refused the first write of a transaction; empty if there is none.
fn refused_by(error: &TransactWriteItemsError) -> Option<Row> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return None;
    };
    let first = cancelled.cancellation_reasons().first()?;
    (first.code() == Some(REFUSED)).then(|| first.item().cloned().unwrap_or_default())
}
