//! For tests: all numbers.

use aws_sdk_dynamodb::types::AttributeValue;

use super::store::CountStore;
use super::{Counts, row};
use crate::dynamodb::Row;

impl CountStore {
    /// The rows of all minutes.
    pub async fn rows(&self) -> Vec<Row> {
        let scan = self.client().scan().table_name(self.table());
        let rows = scan.into_paginator().items().send();
        let rows: Vec<Row> = rows.try_collect().await.unwrap();
        let of_minute = |row: &Row| {
            let id = row.get("id").and_then(|id| AttributeValue::as_s(id).ok());
            let is_of_numbers = id.is_some_and(|id| id.starts_with("counts#"));
            is_of_numbers && !row.contains_key("folded_to")
        };
        rows.into_iter().filter(of_minute).collect()
    }

    /// What all minutes have.
    pub async fn all(&self) -> Counts {
        let mut all = Counts::default();
        for row in self.rows().await {
            all.merge(&row::read(&row));
        }
        all
    }
}
