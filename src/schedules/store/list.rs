//! Lists of schedules, by name.

use super::record::ALL;
use super::{ScheduleStore, names};
use crate::dynamodb::row::text;
use crate::dynamodb::{StoreError, call_error};
use crate::schedules::schedule::Schedule;
use crate::tasks::viewer::Viewer;

const BY_NAME: &str = "by_name";
const BY_CALLER: &str = "by_caller";

impl ScheduleStore {
    /// The schedules that `viewer` may see whose names come after `after`, by name, and the name of the last
    /// one if there may be more. The indexes are eventually consistent.
    pub async fn list(
        &self,
        viewer: &Viewer,
        limit: usize,
        after: Option<&str>,
    ) -> Result<(Vec<Schedule>, Option<String>), StoreError> {
        let (index, attribute, partition) = match viewer.only() {
            Some(caller) => (BY_CALLER, "caller", caller),
            None => (BY_NAME, "list", ALL),
        };
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(index)
            .expression_attribute_names("#partition", attribute)
            .expression_attribute_values(":partition", text(partition))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let query = match after {
            Some(after) => query
                .key_condition_expression("#partition = :partition AND id > :after")
                .expression_attribute_values(":after", text(after)),
            None => query.key_condition_expression("#partition = :partition"),
        };
        let page = query.send().await.map_err(call_error)?;
        let names = names(page.items())?;
        let last = names.last().filter(|_| page.last_evaluated_key.is_some());
        let last = last.cloned();
        let mut schedules = self.batch(&names).await?;
        schedules.retain(|found| viewer.may_see(found.caller.as_deref()));
        schedules.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((schedules, last))
    }
}
