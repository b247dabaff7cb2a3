//! Generated rows of tasks, which fill a table.

use std::time::{SystemTime, UNIX_EPOCH};

use dynoxide::{AttributeValue, Database, ImportOptions, Item};
use local_stack::{Context, Error, Result};
use serde_json::json;

use crate::groups::tasks::DATA;
use crate::stage::Stage;

/// The tasks table's name in the local stack.
const TABLE: &str = "async-service-tasks";
/// How many rows one import has.
const CHUNK: u64 = 10_000;
/// One generated task in `RARE` is cancelled, the others have completed.
const RARE: u64 = 100;
/// Milliseconds between two generated tasks.
const PACE: u64 = 10;
/// How many milliseconds before now the middle of all generated tasks is.
const AGE: u64 = 24 * 60 * 60 * 1_000;
/// The partitions of the lists, as in `src/tasks/store/list.rs`.
const SHARDS: u64 = 8;

/// Generates rows. The first row is the newest of the older half, the second the oldest of the
/// newer half, and so on, so that the middle of the list does not move while the table grows.
pub struct Rows {
    completed: Item,
    cancelled: Item,
    middle: u64,
    made: u64,
}

impl Rows {
    /// Uses two real rows as patterns. The two tasks are submitted here and their rows stay in the
    /// table.
    ///
    /// # Errors
    /// When the functions fail, or write other rows than this file generates.
    pub fn new(stage: &mut Stage) -> Result<Rows> {
        let completed = stage.completed_task()?;
        let task = stage.ask("POST", "/process/", Some(DATA))?;
        let cancelled = task["task_id"].as_str().unwrap_or_default();
        stage.ask("DELETE", &format!("/tasks/{cancelled}"), None)?;
        stage.queue().purge()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.context("a clock before 1970")?.as_millis();
        let database = stage.endpoint().database();
        Ok(Rows {
            completed: pattern(database, &completed)?,
            cancelled: pattern(database, cancelled)?,
            middle: u64::try_from(now).unwrap_or_default().saturating_sub(AGE),
            made: 0,
        })
    }

    /// Adds rows until the table has `size` rows.
    ///
    /// # Errors
    /// When the database refuses rows.
    pub fn fill(&mut self, database: &Database, size: u64) -> Result<()> {
        while self.made < size {
            let end = size.min(self.made + CHUNK);
            let rows = (self.made..end).map(|number| self.row(number)).collect();
            let imported = database.import_items(TABLE, rows, ImportOptions::default());
            imported.context("cannot fill the table")?;
            self.made = end;
        }
        Ok(())
    }

    /// The id of one of the generated rows, each with the same probability.
    #[must_use]
    pub fn some_id(&self, turn: u64) -> String {
        id(scramble(!turn) % self.made.max(1))
    }

    fn row(&self, number: u64) -> Item {
        let offset = (number / 2 + 1) * PACE;
        let created = match number % 2 {
            0 => self.middle.saturating_sub(offset),
            _ => self.middle + offset,
        };
        let pattern = match number % RARE {
            0 => &self.cancelled,
            _ => &self.completed,
        };
        like(pattern, &id(number), created)
    }
}

/// A row that a function has written.
fn pattern(database: &Database, id: &str) -> Result<Item> {
    let request = json!({"TableName": TABLE, "Key": {"id": {"S": id}, "part": {"N": "0"}}});
    let request = serde_json::from_value(request).context("a request")?;
    let row = database.get_item(request).context("cannot read a row")?;
    let row = row.item.ok_or_else(|| Error::new("a task has no row"))?;
    let again = like(&row, id, number(&row, "created_at").unwrap_or_default());
    match again == row {
        true => Ok(row),
        false => Err(Error::new(format!(
            "functions write other rows than this file: {row:?}"
        ))),
    }
}

/// A task's row with another id and another time.
fn like(pattern: &Item, id: &str, created: u64) -> Item {
    let was = number(pattern, "created_at").unwrap_or_default();
    let mut row = pattern.clone();
    let first = u64::from_str_radix(id.get(..2).unwrap_or_default(), 16);
    let shard = first.unwrap_or_default() % SHARDS;
    let mut set = |name: &str, value: AttributeValue| {
        if let Some(place) = row.get_mut(name) {
            *place = value;
        }
    };
    set("id", AttributeValue::S(id.to_owned()));
    set("list_key", AttributeValue::S(format!("{created:013}-{id}")));
    set("list_shard", AttributeValue::N(shard.to_string()));
    if let Some(AttributeValue::S(state)) = pattern.get("state") {
        let shard = format!("{state}#{shard}");
        set("state_shard", AttributeValue::S(shard));
    }
    for name in ["created_at", "started_at", "finished_at"] {
        if let Some(time) = number(pattern, name) {
            let time = (time + created).saturating_sub(was);
            set(name, AttributeValue::N(time.to_string()));
        }
    }
    row
}

fn number(row: &Item, name: &str) -> Option<u64> {
    match row.get(name)? {
        AttributeValue::N(text) => text.parse().ok(),
        _ => None,
    }
}

/// The id of a generated row: a UUID of the functions' form, the same in every run.
fn id(number: u64) -> String {
    let (high, low) = (scramble(2 * number), scramble(2 * number + 1));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | (low >> 48) & 0x3fff,
        low & 0xffff_ffff_ffff,
    )
}

/// A pseudo-random number: the output function of SplitMix64
/// (<https://prng.di.unimi.it/splitmix64.c>).
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn rows() -> Rows {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |text: &str| AttributeValue::N(text.to_owned());
        let completed = Item::from([
            ("id".to_owned(), text("0a")),
            ("state".to_owned(), text("completed")),
            ("created_at".to_owned(), number("1000")),
            ("finished_at".to_owned(), number("1250")),
            ("list_shard".to_owned(), number("2")),
            ("list_key".to_owned(), text("0000000001000-0a")),
        ]);
        let mut cancelled = completed.clone();
        cancelled.insert("state".to_owned(), text("cancelled"));
        cancelled.insert("state_shard".to_owned(), text("cancelled#2"));
        Rows {
            completed,
            cancelled,
            middle: 5_000_000,
            made: 0,
        }
    }

    #[test]
    fn a_row_with_the_pattern_s_id_and_time_equals_the_pattern() {
        let rows = rows();
        assert_eq!(like(&rows.completed, "0a", 1000), rows.completed);
        assert_eq!(like(&rows.cancelled, "0a", 1000), rows.cancelled);
        let moved = like(&rows.cancelled, "ff-", 2000);
        assert_eq!(number(&moved, "finished_at"), Some(2250));
        let shard = AttributeValue::S("cancelled#7".to_owned());
        assert_eq!(moved.get("state_shard"), Some(&shard));
    }

    #[test]
    fn rows_are_spread_around_the_middle() {
        let rows = rows();
        let times = (0..4).map(|at| number(&rows.row(at), "created_at"));
        let times: Vec<_> = times.flatten().collect();
        assert_eq!(times, [4_999_990, 5_000_010, 4_999_980, 5_000_020]);
    }

    #[test]
    fn ids_are_distinct_uuids() {
        let ids: HashSet<String> = (0..10_000).map(id).collect();
        assert_eq!(ids.len(), 10_000);
        let is_random =
            |id: &String| id.len() == 36 && &id[14..15] == "4" && "89ab".contains(&id[19..20]);
        assert!(ids.iter().all(is_random));
    }
}
