//! The cost of an invocation of a warm process.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use local_stack::{Context, Error, Result};
use serde_json::{Value, json};

use super::client::Client;
use super::start::other_functions;
use super::{Bench, CELERY, FASTAPI, Figures, Group, LAMBDA_HTTP, LOOP, REDIS, THIS, progress};
use crate::peers::Served;
use crate::runtime::{Answer, Function, Program};
use crate::series::{Series, Unit};
use crate::usage::{self, Memory, Meter};
use crate::workload::{WORKLOADS, Workload};

/// CPU time of the process, including its request for the next event.
pub const CPU: &str = "CPU";
/// From sending the event to the answer: the median of a round.
pub const LATENCY: &str = "latency";
/// Sequential invocations per second.
pub const THROUGHPUT: &str = "throughput";
/// Memory of the process after a round's invocations.
pub const RESIDENT: &str = "resident memory";
/// Resident memory, with each shared page divided among the processes that share it.
pub const PROPORTIONAL: &str = "proportional memory";
/// The size of the executable.
pub const SIZE: &str = "executable";

/// The group's description.
pub const GROUP: Group = Group {
    name: "invocations",
    title: "Warm invocations",
    about: include_str!("about/invocations.md"),
    drawn: &[CPU, LATENCY, RESIDENT],
    run,
};

/// How many tasks Celery runs before its memory is read.
const TASKS: usize = 100;

/// The results of one round of one side.
#[derive(Debug)]
pub struct Load {
    /// The median latency.
    pub latency: Duration,
    /// Invocations per second.
    pub throughput: f64,
    /// CPU seconds for a thousand invocations.
    pub cpu: f64,
    /// The process' memory after the round.
    pub memory: Memory,
}

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let mut figures = Figures::new(GROUP.name);
    let rounds = bench.effort.rounds(5);
    let count = bench.effort.of(300, 50);
    // Interpreters reach their full speed only after some hundred calls.
    let of_root = bench.effort.of(2_000, 300);
    for round in 1..=rounds {
        progress(GROUP.name, round, rounds);
        of_servers(bench, &mut figures, of_root)?;
        let event = Workload::of("root")?.event(&mut bench.stage)?;
        for (side, program) in other_functions(bench) {
            let load = load(&program, &same(&event, of_root), of_root).context(side)?;
            add(&mut figures, "root", side, &load);
        }
        for workload in &WORKLOADS {
            let name = workload.function;
            let count = if name == "root" { of_root } else { count };
            let events = workload.events(&mut bench.stage, count + warm_up(count))?;
            let load = load(&bench.stage.program(name)?, &events, count).context(name)?;
            add(&mut figures, name, THIS, &load);
        }
    }
    sizes(bench, &mut figures)?;
    Ok(figures.into_series())
}

/// The number of invocations before the measured ones.
pub fn warm_up(count: usize) -> usize {
    count / 10 + 1
}

/// Copies of the same event, for the warm-up and `count` measured invocations.
fn same(event: &str, count: usize) -> Vec<String> {
    vec![event.to_owned(); count + warm_up(count)]
}

/// Starts a function and sends it the events: first some for the warm-up, then the last `count`,
/// which are measured.
///
/// # Errors
/// When the function fails, or gives a wrong answer.
pub fn load(program: &Program, events: &[String], count: usize) -> Result<Load> {
    let (mut function, _) = Function::start(program)?;
    let (warm, counted) = events.split_at(events.len().saturating_sub(count));
    for event in warm {
        judge(&function.invoke(event.as_bytes())?)?;
    }
    function.settle()?;
    let meter = Meter::start([function.pid()])?;
    let started = Instant::now();
    let mut answers = Vec::with_capacity(counted.len());
    for event in counted {
        answers.push(function.invoke(event.as_bytes())?);
    }
    let elapsed = started.elapsed();
    function.settle()?;
    let cpu = meter.read()?;
    answers.iter().try_for_each(judge)?;
    let latencies = answers.iter().map(|answer| answer.elapsed).collect();
    Load::new(latencies, elapsed, cpu, usage::memory(function.pid())?)
}

impl Load {
    /// Computes the results from the latencies and the usage of the process.
    ///
    /// # Errors
    /// When there are no latencies.
    pub fn new(
        mut latencies: Vec<Duration>,
        elapsed: Duration,
        cpu: Duration,
        memory: Memory,
    ) -> Result<Load> {
        latencies.sort_unstable();
        let count = latencies.len() as f64;
        let middle = latencies.get(latencies.len() / 2);
        Ok(Load {
            latency: *middle.ok_or_else(|| Error::new("nothing was measured"))?,
            throughput: count / elapsed.as_secs_f64(),
            cpu: cpu.as_secs_f64() / count * 1000.0,
            memory,
        })
    }
}

/// Returns an error for the answer of a failed invocation, whether the function or its HTTP answer
/// reports the failure.
fn judge(answer: &Answer) -> Result<()> {
    let said: Value = serde_json::from_slice(&answer.body).context("not JSON")?;
    let failed = said["statusCode"]
        .as_u64()
        .is_some_and(|status| status >= 500)
        || said["batchItemFailures"]
            .as_array()
            .is_some_and(|failures| !failures.is_empty());
    if failed {
        return Err(Error::new(format!("the function answered {said}")));
    }
    Ok(())
}

fn add(figures: &mut Figures, subject: &str, side: &str, load: &Load) {
    let mut add = |what, unit, sample| figures.add_of(subject, what, side, unit, sample);
    add(CPU, Unit::CpuPerThousand, load.cpu);
    add(LATENCY, Unit::Seconds, load.latency.as_secs_f64());
    add(THROUGHPUT, Unit::PerSecond, load.throughput);
    add(RESIDENT, Unit::Bytes, load.memory.resident as f64);
    add(PROPORTIONAL, Unit::Bytes, load.memory.proportional as f64);
}

/// The FastAPI service: `GET /`, and the memory of its processes after all have worked.
fn of_servers(bench: &mut Bench, figures: &mut Figures, count: usize) -> Result<()> {
    let Some(redis) = bench.peers.redis()? else {
        return Ok(());
    };
    let (served, _) = bench.peers.service(redis.port, &bench.stage.upstream())?;
    let (celery, _) = bench.peers.celery(redis.port, "WARNING")?;
    let client = Client::new(served.port);
    let targets = vec!["/".to_owned(); count + warm_up(count)];
    let mut load = client.load(served.pid(), &targets, count)?;
    tasks(&client, TASKS)?;
    load.memory = usage::memory(served.pid())?;
    add(figures, "root", FASTAPI, &load);
    let parts = [
        (CELERY, usage::memory_of_family(celery.id())?),
        (REDIS, memory(&redis)?),
    ];
    for (side, memory) in parts {
        figures.add_of(
            "worker",
            RESIDENT,
            side,
            Unit::Bytes,
            memory.resident as f64,
        );
        figures.add_of(
            "worker",
            PROPORTIONAL,
            side,
            Unit::Bytes,
            memory.proportional as f64,
        );
    }
    Ok(())
}

fn memory(served: &Served) -> Result<Memory> {
    usage::memory(served.pid())
}

/// Submits tasks to the FastAPI service, and waits for the last one.
fn tasks(client: &Client, count: usize) -> Result<()> {
    let data = json!({"values": [1, 2, 3]});
    let mut last = Value::Null;
    for _ in 0..count {
        last = client.post("/process/", &data)?;
    }
    let target = format!("/result/{}", last["task_id"].as_str().unwrap_or_default());
    for _ in 0..1000 {
        if client.get(&target)?["status"] == "completed" {
            return Ok(());
        }
        local_stack::process::pause()?;
    }
    Err(Error::new("Celery runs no tasks"))
}

fn sizes(bench: &Bench, figures: &mut Figures) -> Result<()> {
    let size = |path: &Path| {
        let data = fs::metadata(path);
        data.map(|data| data.len() as f64)
            .context(format_args!("cannot read {}", path.display()))
    };
    for workload in &WORKLOADS {
        let name = workload.function;
        let bytes = size(&bench.stage.executable(name))?;
        figures.add_of(name, SIZE, THIS, Unit::Bytes, bytes);
    }
    for (side, name) in [(LAMBDA_HTTP, "bare_lambda_http"), (LOOP, "bare_loop")] {
        let bytes = size(&bench.peers.bare(name))?;
        figures.add_of("root", SIZE, side, Unit::Bytes, bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judge_finds_failures_in_answers() {
        let said = |text: &str| {
            judge(&Answer {
                body: text.into(),
                elapsed: Duration::ZERO,
            })
        };
        assert!(said(r#"{"statusCode":404,"body":""}"#).is_ok());
        assert!(said(r#"{"batchItemFailures":[]}"#).is_ok());
        assert!(said(r#"{"statusCode":500}"#).is_err());
        assert!(said(r#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#).is_err());
    }
}
