//! Tasks, from the submission to the stored result.

pub(super) mod board;
mod load;
pub(super) mod python;
pub(super) mod redis;
pub(super) mod service;

use std::time::Duration;

use local_stack::Result;

use self::load::{Load, Outcome};
use self::python::Python;
use self::service::Service;
use super::{Bench, CELERY, Effort, FASTAPI, Figures, Group, REDIS, REPLACED, THIS};
use crate::series::{Series, Unit};
use crate::stage::Stage;
use crate::tally::{Tally, process_time};
use crate::usage::{self, Meter};

/// The figures of tasks.
pub const GROUP: Group = Group {
    name: "tasks",
    title: "Tasks, from submission to stored result",
    about: include_str!("about/tasks.md"),
    drawn: &[CPU, MEDIAN, RATE],
    run,
};

/// The CPU time of a task, with enough clients to keep all processes busy, and too few for full
/// batches.
pub const CPU: &str = "CPU time, submission to stored result, 8 clients";
const MEDIAN: &str = "latency, 8 clients, median";
const RATE: &str = "tasks in a second, a burst";

/// The function that accepts tasks in this service.
const PROCESS: &str = "`process`";
/// The function that runs tasks in this service.
const WORKER: &str = "`worker`";
/// The local replacement of SQS.
const QUEUE: &str = "the emulated SQS";
/// This program.
const SELF: &str = "clients and the embedded DynamoDB";

/// The input of each task.
pub(super) const DATA: &str = r#"{"values":[1,2,3]}"#;
/// The time for work after a stored result, such as Celery's acknowledgement.
const SETTLED: Duration = Duration::from_millis(100);

/// The maximum number of processes of the function `process`; a request waits while all are busy.
const PROCESSES: usize = 4;
/// The number of processes of the function `worker`.
const WORKERS: usize = 2;

/// The loads, from one client that waits for each result to many clients that wait for none.
fn loads(effort: Effort) -> [Load; 4] {
    let load = |name, clients, tasks, waits| Load {
        name,
        clients,
        tasks,
        waits,
    };
    [
        load("1 client", 1, effort.of(200, 40), true),
        load("8 clients", 8, effort.of(1_000, 200), true),
        load("64 clients", 64, effort.of(2_000, 300), true),
        load("a burst", 64, effort.of(10_000, 500), false),
    ]
}

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let stage = &bench.stage;
    let service = Service::start(stage, PROCESSES, WORKERS)?;
    let python = Python::start(&bench.peers, &stage.upstream())?;
    let mut figures = Figures::new(GROUP.name);
    let loads = loads(bench.effort);
    warm_up(&loads[0], &service, python.as_ref())?;
    for _ in 0..bench.effort.rounds(3) {
        for load in &loads {
            of_service(load, stage, &service, &mut figures)?;
            if let Some(python) = &python {
                of_python(load, python, &mut figures)?;
            }
        }
    }
    Ok(figures.into_series())
}

fn warm_up(load: &Load, service: &Service, python: Option<&Python>) -> Result<()> {
    load::run(load, &service.board, || service.submit())?;
    if let Some(python) = python {
        load::run(load, &python.board, || python.submit())?;
    }
    Ok(())
}

/// Measures one load on this service.
fn of_service(load: &Load, stage: &Stage, service: &Service, figures: &mut Figures) -> Result<()> {
    let parts = [
        (PROCESS, service.processes().to_vec()),
        (WORKER, service.workers().to_vec()),
    ];
    let emulator = stage.emulator().process_id();
    let (tally, fed) = (stage.endpoint().tally(), service.fed());
    let (emulated, own) = (usage::cpu_of_family(emulator)?, process_time());
    let outcome = measured(load, THIS, &parts, figures, || {
        load::run(load, &service.board, || service.submit())
    })?;
    let name = load.name;
    let what = format!("cores at work, {name}");
    let after = usage::cpu_of_family(emulator)?;
    for (side, before, after) in [(QUEUE, emulated, after), (SELF, own, process_time())] {
        let cpu = after.saturating_sub(before).as_secs_f64();
        let cores = cpu / (outcome.elapsed + SETTLED).as_secs_f64();
        figures.add(&what, side, Unit::Count, cores);
    }
    let after = service.fed();
    let batches = after.batches - fed.batches;
    let size = (after.messages - fed.messages) as f64 / batches as f64;
    let what = format!("messages in a batch, {name}");
    figures.add(&what, THIS, Unit::Count, size);
    calls(load, &stage.endpoint().tally().since(&tally), figures);
    if !load.waits {
        memory(&parts, THIS, figures)?;
    }
    Ok(())
}

/// Measures one load on the FastAPI service.
fn of_python(load: &Load, python: &Python, figures: &mut Figures) -> Result<()> {
    let parts = [
        (FASTAPI, vec![python.uvicorn()]),
        (CELERY, vec![python.celery()]),
        (REDIS, vec![python.redis()]),
    ];
    measured(load, REPLACED, &parts, figures, || {
        load::run(load, &python.board, || python.submit())
    })?;
    if !load.waits {
        memory(&parts, REPLACED, figures)?;
    }
    Ok(())
}

/// Runs a load, and adds the figures that both sides have.
fn measured(
    load: &Load,
    side: &str,
    parts: &[(&str, Vec<u32>)],
    figures: &mut Figures,
    run: impl Fn() -> Result<Outcome>,
) -> Result<Outcome> {
    let meters = parts.iter().map(|(_, pids)| Meter::start(pids.clone()));
    let meters = meters.collect::<Result<Vec<_>>>()?;
    let outcome = run()?;
    std::thread::sleep(SETTLED);
    let name = load.name;
    let what = format!("CPU time, submission to stored result, {name}");
    let mut total = 0.0;
    for ((part, _), meter) in parts.iter().zip(meters) {
        let cpu = meter.read()?.as_secs_f64() / load.tasks as f64 * 1_000.0;
        figures.add(&what, part, Unit::CpuPerThousand, cpu);
        total += cpu;
    }
    figures.add(&what, side, Unit::CpuPerThousand, total);
    let mut latencies = Series::new(GROUP.name, "", side, Unit::Seconds);
    latencies.samples.clone_from(&outcome.latencies);
    for (quantile, word) in [(0.5, "median"), (0.95, "95 % are faster")] {
        let what = format!("latency, {name}, {word}");
        figures.add(&what, side, Unit::Seconds, latencies.quantile(quantile));
    }
    let mut rate = |what: &str, time: Duration| {
        let rate = load.tasks as f64 / time.as_secs_f64();
        let what = format!("{what} in a second, {name}");
        figures.add(&what, side, Unit::PerSecond, rate);
    };
    rate("tasks", outcome.elapsed);
    if !load.waits {
        rate("submissions", outcome.accepted);
    }
    Ok(outcome)
}

/// Adds the functions' calls to AWS.
fn calls(load: &Load, tally: &Tally, figures: &mut Figures) {
    let name = load.name;
    let each = |calls: u64| calls as f64 / load.tasks as f64;
    let what = format!("AWS calls for a task, {name}");
    figures.add(&what, THIS, Unit::Count, each(tally.calls()));
    if !load.waits {
        for (operation, spent) in tally.operations() {
            let side = format!("`{operation}`");
            figures.add(&what, &side, Unit::Count, each(spent.calls));
        }
    }
    let queue = tally.queue();
    let call = queue.time.as_secs_f64() / queue.calls.max(1) as f64;
    figures.add(&format!("a call, {name}"), QUEUE, Unit::Seconds, call);
}

/// Adds the memory of each part and of all parts together. Memory shared by several processes is
/// counted once.
fn memory(parts: &[(&str, Vec<u32>)], side: &str, figures: &mut Figures) -> Result<()> {
    let what = "memory after a burst";
    let mut total = 0.0;
    for (part, pids) in parts {
        let each = pids.iter().map(|pid| usage::memory_of_family(*pid));
        let each = each.collect::<Result<Vec<_>>>()?;
        let bytes: u64 = each.iter().map(|memory| memory.proportional).sum();
        figures.add(what, part, Unit::Bytes, bytes as f64);
        total += bytes as f64;
    }
    figures.add(what, side, Unit::Bytes, total);
    Ok(())
}
