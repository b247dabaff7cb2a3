//! The cost of submitting tasks: one by one, and many in a request.

use local_stack::process::interrupted;
use local_stack::{Error, Result};
use serde_json::{Value, json};

use super::{Bench, Figures, Group, THIS};
use crate::runtime::Function;
use crate::series::{Series, Unit};
use crate::stage::{Stage, http_answer};
use crate::usage::Meter;

/// The figures of submissions.
pub const GROUP: Group = Group {
    name: "batch",
    title: "Submissions, one by one and in batches",
    about: include_str!("about/batch.md"),
    drawn: &[CPU, CALLS],
    run,
};

const CPU: &str = "CPU time for 1,000 submissions";
const CALLS: &str = "AWS calls for a submission";
const TIME: &str = "time for a submission";

/// The sizes of the batches; 1 stands for a request to `create_task`.
const SIZES: [usize; 4] = [1, 10, 100, 1_000];

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let (effort, stage) = (bench.effort, &mut bench.stage);
    let mut figures = Figures::new(GROUP.name);
    let (mut one, _) = Function::start(&stage.program("create_task")?)?;
    let (mut many, _) = Function::start(&stage.program("create_tasks")?)?;
    let count = effort.of(3_000, 1_000);
    let mut keys = 0;
    // The first requests open connections and are not counted.
    submit(stage, &mut one, &["warm".to_owned()], false, 1)?;
    submit(stage, &mut many, &["warm-too".to_owned()], false, 2)?;
    for _ in 0..effort.rounds(3) {
        for has_keys in [false, true] {
            for size in SIZES {
                let function = if size == 1 { &mut one } else { &mut many };
                let batches: Vec<Vec<String>> = (0..count / size)
                    .map(|_| {
                        keys += size;
                        (keys - size..keys)
                            .map(|key| format!("key-{key}"))
                            .collect()
                    })
                    .collect();
                measure(stage, function, &batches, has_keys, &mut figures)?;
            }
            stage.queue().purge()?;
        }
    }
    Ok(figures.into_series())
}

/// Measures requests, each with a task for each of its keys.
fn measure(
    stage: &Stage,
    function: &mut Function,
    batches: &[Vec<String>],
    has_keys: bool,
    figures: &mut Figures,
) -> Result<()> {
    let size = batches.first().map_or(1, Vec::len);
    let tasks = (batches.len() * size) as f64;
    let tally = stage.endpoint().tally();
    let meter = Meter::start([function.pid()])?;
    let mut elapsed = 0.0;
    for keys in batches {
        if interrupted() {
            return Err(Error::new("stopped"));
        }
        elapsed += submit(stage, function, keys, has_keys, size)?;
    }
    function.settle()?;
    let cpu = meter.read()?.as_secs_f64();
    let calls = stage.endpoint().tally().since(&tally);
    let records = calls.operations().filter(|(name, _)| *name == "PutItem");
    let records: u64 = records.map(|(_, spent)| spent.calls).sum();
    if records as f64 != tasks {
        return Err(Error::new(format!("{records} records for {tasks} tasks")));
    }
    let subject = match (size, has_keys) {
        (1, false) => "one by one".to_owned(),
        (1, true) => "one by one, with keys".to_owned(),
        (size, false) => format!("batches of {size}"),
        (size, true) => format!("batches of {size}, with keys"),
    };
    for (what, unit, sample) in [
        (CPU, Unit::CpuPerThousand, cpu / tasks * 1_000.0),
        (CALLS, Unit::Count, calls.calls() as f64 / tasks),
        (TIME, Unit::Seconds, elapsed / tasks),
    ] {
        figures.add_of(&subject, what, THIS, unit, sample);
    }
    Ok(())
}

/// Submits a task for each key: one in a request of its own if `size` is 1. Returns the seconds until the answer.
fn submit(
    stage: &Stage,
    function: &mut Function,
    keys: &[String],
    has_keys: bool,
    size: usize,
) -> Result<f64> {
    let task = |key: &String| {
        let mut task = json!({"job": "process_data", "input": {"values": [1, 2, 3]}});
        if has_keys && size > 1 {
            task["idempotency_key"] = json!(key);
        }
        task
    };
    let (target, body) = match size {
        1 => ("/tasks/", task(&keys[0])),
        _ => {
            let tasks: Vec<Value> = keys.iter().map(task).collect();
            ("/tasks/batch", json!({ "tasks": tasks }))
        }
    };
    let (_, mut event) = stage.event("POST", target, Some(&body.to_string()))?;
    if has_keys && size == 1 {
        event = with_key(&event, &keys[0])?;
    }
    let answer = function.invoke(event.as_bytes())?;
    let elapsed = answer.elapsed.as_secs_f64();
    let (status, answer) = http_answer(&answer)?;
    let accepted = match size {
        1 => u64::from(status == 202),
        _ => answer["accepted"].as_u64().unwrap_or(0),
    };
    match accepted == keys.len() as u64 {
        true => Ok(elapsed),
        false => Err(Error::new(format!("{target}: {status} {answer}"))),
    }
}

/// The event with an idempotency key.
fn with_key(event: &str, key: &str) -> Result<String> {
    let event: serde_json::Result<Value> = serde_json::from_str(event);
    let mut event = event.map_err(|error| Error::new(format!("an event: {error}")))?;
    event["headers"]["idempotency-key"] = json!(key);
    Ok(event.to_string())
}
