//! A conditional put of one row, by itself or in a transaction with another write.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};

use super::row::Row;
use super::{StoreError, condition_held};

/// A put of a row into a table, under a condition on the row that is there.
#[derive(Debug, Clone)]
pub struct ConditionalPut {
    /// The name of the table.
    pub table: String,
    /// The row.
    pub row: Row,
    /// The condition.
    pub condition: &'static str,
    /// The condition's names of attributes, with their `#`.
    pub names: HashMap<String, String>,
    /// The condition's values, with their `:`.
    pub values: HashMap<String, AttributeValue>,
}

impl ConditionalPut {
    /// Puts the row. `false` if the condition does not hold.
    ///
    /// # Errors
    /// When the call failed.
    pub async fn send(self, client: &Client) -> Result<bool, StoreError> {
        let put = client
            .put_item()
            .table_name(self.table)
            .set_item(Some(self.row))
            .condition_expression(self.condition)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values));
        condition_held(put.send().await)
    }

    /// The put as a part of a transaction.
    ///
    /// # Errors
    /// Never: all that the SDK asks for is there.
    pub(crate) fn into_write(self) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(self.table)
            .set_item(Some(self.row))
            .condition_expression(self.condition)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values));
        let put = put
            .build()
            .map_err(|error| StoreError::Call(Box::new(error)))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
