//! The cost of the times of schedules: of a tick with few and many due schedules among many others.

use std::time::{SystemTime, UNIX_EPOCH};

use dynoxide::{AttributeValue, Database, ImportOptions, Item};
use local_stack::process::interrupted;
use local_stack::{Context, Error, Result};
use serde_json::json;

use super::{Bench, Figures, Group, THIS};
use crate::report::format;
use crate::runtime::Function;
use crate::series::{Series, Unit};
use crate::stage::Stage;
use crate::usage::Meter;

/// The figures of ticks.
pub const GROUP: Group = Group {
    name: "schedules",
    title: "Schedules",
    about: include_str!("about/schedules.md"),
    drawn: &[CPU, TIME],
    run,
};

const CPU: &str = "CPU time for 1,000 times";
const TIME: &str = "time of a tick";
const DATABASE: &str = "CPU time of the embedded database in it";
const CALLS: &str = "AWS calls for a time";

/// The table's name in the local stack.
const TABLE: &str = "async-service-schedules";
/// How many rows one import has.
const CHUNK: u64 = 10_000;
/// The partitions of the index of what is due, as in `src/schedules/store/due.rs`.
const SHARDS: u64 = 8;
/// How many milliseconds after a tick its times are, and the times of all other schedules.
const SOON: u64 = 30_000;
const LATER: u64 = 30 * 24 * 60 * 60 * 1_000;
/// A schedule that fires once a month, so that a tick finds one time of each.
const SCHEDULE: &str = r#"{"name":"pattern","job":"process_data","input":{"values":[1,2,3]},"rule":{"every":2592000}}"#;

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let effort = bench.effort;
    let mut figures = Figures::new(GROUP.name);
    // Its own stage, so that other groups do not measure with so many rows.
    let mut stage = bench.stage.another()?;
    stage.ask("POST", "/schedules/", Some(SCHEDULE))?;
    let pattern = pattern(stage.endpoint().database())?;
    let others = effort.of(1_000_000, 10_000);
    fill(
        stage.endpoint().database(),
        &pattern,
        0..others,
        now()? + LATER,
    )?;
    let (mut function, _) = Function::start(&stage.program("ticker")?)?;
    // The first tick opens connections and is not counted.
    tick(&mut function)?;
    let sizes: &[u64] = effort.of(&[10, 1_000, 10_000], &[10, 1_000]);
    for _ in 0..effort.rounds(3) {
        for size in sizes {
            // The same schedules each time: a tick has moved them to the next month.
            fill(
                stage.endpoint().database(),
                &pattern,
                0..*size,
                now()? + SOON,
            )?;
            measure(&stage, &mut function, *size, &mut figures)?;
            stage.queue().purge()?;
        }
    }
    Ok(figures.into_series())
}

/// Measures a tick with so many due schedules.
fn measure(stage: &Stage, function: &mut Function, size: u64, figures: &mut Figures) -> Result<()> {
    if interrupted() {
        return Err(Error::new("stopped"));
    }
    let tally = stage.endpoint().tally();
    let meter = Meter::start([function.pid()])?;
    let elapsed = tick(function)?;
    function.settle()?;
    let cpu = meter.read()?.as_secs_f64() / size as f64;
    let calls = stage.endpoint().tally().since(&tally);
    let records = calls.operations().filter(|(name, _)| *name == "PutItem");
    let records: u64 = records.map(|(_, spent)| spent.calls).sum();
    // A claim, a record and the note that the time is submitted.
    if records != 3 * size {
        return Err(Error::new(format!("{records} writes for {size} times")));
    }
    let subject = format!("{} due", format::number(size as f64));
    for (what, unit, sample) in [
        (CPU, Unit::CpuPerThousand, cpu * 1_000.0),
        (TIME, Unit::Seconds, elapsed),
        (DATABASE, Unit::Seconds, calls.database().as_secs_f64()),
        (CALLS, Unit::Count, calls.calls() as f64 / size as f64),
    ] {
        figures.add_of(&subject, what, THIS, unit, sample);
    }
    Ok(())
}

/// Calls the ticker. Returns the time until its answer in seconds.
fn tick(function: &mut Function) -> Result<f64> {
    let answer = function.invoke(br#"{"source":"aws.events"}"#)?;
    match &answer.body[..] {
        b"null" => Ok(answer.elapsed.as_secs_f64()),
        other => {
            let text = String::from_utf8_lossy(other);
            Err(Error::new(format!("the ticker answered {text}")))
        }
    }
}

/// The row of the schedule that a function has written.
fn pattern(database: &Database) -> Result<Item> {
    let request = json!({"TableName": TABLE, "Key": {"id": {"S": "pattern"}}});
    let request = serde_json::from_value(request).context("a request")?;
    let row = database.get_item(request).context("cannot read a row")?;
    let row = row
        .item
        .ok_or_else(|| Error::new("a schedule has no row"))?;
    for name in ["due", "due_shard", "next", "uid", "stamp"] {
        if !row.contains_key(name) {
            return Err(Error::new(format!("a schedule has no {name}: {row:?}")));
        }
    }
    Ok(row)
}

/// Writes schedules like the pattern, whose next times are `next` and the milliseconds after it.
fn fill(
    database: &Database,
    pattern: &Item,
    numbers: std::ops::Range<u64>,
    next: u64,
) -> Result<()> {
    let mut from = numbers.start;
    while from < numbers.end {
        let end = numbers.end.min(from + CHUNK);
        let rows = (from..end).map(|number| like(pattern, number, next + number % 1_000));
        let imported = database.import_items(TABLE, rows.collect(), ImportOptions::default());
        imported.context("cannot fill the table")?;
        from = end;
    }
    Ok(())
}

/// The row of another schedule, with its next time.
fn like(pattern: &Item, number: u64, next: u64) -> Item {
    let mut row = pattern.clone();
    let shard = number % SHARDS;
    // The partition is the first byte of the id, modulo the number of partitions.
    let uid = format!("{shard:02x}000000-0000-4000-8000-{number:012x}");
    for (name, text) in [("id", format!("schedule {number}")), ("uid", uid)] {
        row.insert(name.to_owned(), AttributeValue::S(text));
    }
    for (name, number) in [("next", next), ("due", next), ("due_shard", shard)] {
        row.insert(name.to_owned(), AttributeValue::N(number.to_string()));
    }
    row
}

/// The present time in milliseconds since the Unix epoch.
fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.context("a clock before 1970")?.as_millis();
    u64::try_from(now).context("a late clock")
}
