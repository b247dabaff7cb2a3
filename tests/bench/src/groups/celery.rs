//! Tasks of a Celery producer: this service's worker compared with Celery's.

mod bodies;
mod producer;
mod sides;

use std::time::{Duration, Instant};

use local_stack::{Result, process};

use self::producer::Producer;
use self::sides::{Celery, Service};
use super::mapping::Mapping;
use super::tasks::board::Board;
use super::{Bench, CELERY, Effort, Figures, Group, PREFORK, REDIS, SOLO, THIS, progress};
use crate::series::{Series, Unit};
use crate::stage::Stage;
use crate::tally::Tally;
use crate::usage::{self, Meter};

/// The figures of a Celery producer's tasks.
pub const GROUP: Group = Group {
    name: "celery",
    title: "Tasks of Celery's clients",
    about: include_str!("about/celery.md"),
    drawn: &[BACKLOG, CPU, MEMORY],
    run,
};

/// The CPU time of the consuming side for messages that waited, so that batches are full.
pub const BACKLOG: &str = "CPU time of the consuming side, a backlog";
/// The CPU time of the consuming side while the producer sends.
pub const CPU: &str = "CPU time of the consuming side, a burst";
/// The CPU time of the consuming side for tasks of which each has the worker for itself.
const ALONE: &str = "CPU time of the consuming side, one task after the other";
const STORED: &str = "latency, `delay()` to stored result, median";
const MEMORY: &str = "memory after a burst";

/// The options of Celery's worker, and the side's name. The rest is as its documentation starts it.
const POOLS: [(&str, &[&str]); 2] = [
    (PREFORK, &["--pool", "prefork", "--concurrency", "2"]),
    (SOLO, &["--pool", "solo"]),
];

/// The workflows whose calls to AWS are counted: the producer's name, and the figure's.
const WORKFLOWS: [(&str, &str); 4] = [
    ("task", "a task"),
    ("ignored", "a task with `ignore_result`"),
    ("chain", "a chain of three"),
    ("chord", "a chord of ten and its body"),
];

/// The intervals in seconds at which `get()` polls a table, and the figure's name. Redis tells.
const INTERVALS: [(Option<f64>, &str); 2] = [
    (None, "latency, `delay().get()`"),
    (Some(0.005), "latency, `delay().get(interval=0.005)`"),
];

/// The time for work after a stored result, such as Celery's acknowledgement.
const SETTLED: Duration = Duration::from_millis(100);

/// Ways to send many tasks: the name that follows a figure's, and whether the workers wait until all
/// are sent.
const CROWDS: [(&str, bool); 2] = [("a burst", false), ("a backlog", true)];

/// The processes of a side, by their names.
type Parts<'a> = &'a [(&'a str, Vec<u32>)];

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let mut figures = Figures::new(GROUP.name);
    let rounds = bench.effort.rounds(5);
    for round in 1..=rounds {
        progress(GROUP.name, round, rounds);
        let mut service = Service::start(&bench.stage, &bench.peers)?;
        of_service(&bench.stage, &mut service, bench.effort, &mut figures)?;
        drop(service);
        bodies::measure(bench, &mut figures)?;
        for (side, options) in POOLS {
            if let Some(mut celery) = Celery::start(&bench.peers, options)? {
                of_celery(side, &mut celery, bench.effort, &mut figures)?;
            }
        }
    }
    Ok(figures.into_series())
}

fn of_service(
    stage: &Stage,
    service: &mut Service,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    let parts = [("`worker`", service.mapping.workers().to_vec())];
    crowds(stage, service, (THIS, &parts), effort, figures)?;
    memory(&parts, THIS, figures)?;
    let Service {
        board,
        producer,
        mapping,
        ..
    } = service;
    let emulated = Emulated::start(stage, mapping);
    let count = one_by_one(board, producer, THIS, &parts, effort, figures)?;
    mapping.settle()?;
    emulated.add(stage, mapping, (THIS, count), figures);
    for interval in INTERVALS {
        get(producer, THIS, interval, effort, figures)?;
    }
    mapping.settle()?;
    workflows(stage, service, effort, figures)
}

/// Sends a burst and a backlog, and counts the calls to AWS and the messages in a batch.
fn crowds(
    stage: &Stage,
    service: &mut Service,
    (side, parts): (&str, Parts<'_>),
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    let Service {
        board,
        producer,
        mapping,
        ..
    } = service;
    for crowd in CROWDS {
        let (tally, fed) = (stage.endpoint().tally(), mapping.fed());
        let hold = |held| mapping.hold(held);
        let count = many(
            board,
            producer,
            side,
            crowd,
            (parts, &hold),
            effort,
            figures,
        )?;
        mapping.settle()?;
        let calls = stage.endpoint().tally().since(&tally);
        let name = crowd.0;
        let what = format!("AWS calls for a task, {name}");
        add_calls(&what, side, &calls, count, figures);
        let after = mapping.fed();
        let size = (after.messages - fed.messages) as f64 / (after.batches - fed.batches) as f64;
        let what = format!("messages in a batch, {name}");
        figures.add(&what, side, Unit::Count, size);
    }
    Ok(())
}

fn of_celery(side: &str, celery: &mut Celery, effort: Effort, figures: &mut Figures) -> Result<()> {
    let pool = if side == SOLO { "solo" } else { "prefork" };
    let (worker, redis) = (format!("{CELERY} ({pool})"), format!("{REDIS} ({pool})"));
    let pid = celery.worker();
    let parts = [
        (worker.as_str(), vec![pid]),
        (redis.as_str(), vec![celery.redis()]),
    ];
    let hold = |held| match held {
        true => process::freeze(pid),
        false => process::thaw(pid),
    };
    let (board, producer) = (&*celery.board, &mut celery.producer);
    for crowd in CROWDS {
        many(
            board,
            producer,
            side,
            crowd,
            (&parts, &hold),
            effort,
            figures,
        )?;
    }
    memory(&parts, side, figures)?;
    one_by_one(board, producer, side, &parts, effort, figures)?;
    get(producer, side, INTERVALS[0], effort, figures)
}

/// Sends tasks as fast as the producer can. The workers run them meanwhile, or are held until all are
/// sent. Returns the number of tasks.
fn many(
    board: &Board,
    producer: &mut Producer,
    side: &str,
    (name, waits): (&str, bool),
    (parts, hold): (Parts<'_>, &dyn Fn(bool)),
    effort: Effort,
    figures: &mut Figures,
) -> Result<usize> {
    let count = effort.of(1_000, 100);
    let meters = Meters::start(parts)?;
    hold(waits);
    let started = Instant::now();
    let sent = producer.send(count);
    let accepted = started.elapsed();
    hold(false);
    let begun = if waits { Instant::now() } else { started };
    let mut last = begun;
    for id in &sent? {
        last = last.max(board.wait(id)?);
    }
    std::thread::sleep(SETTLED);
    let what = if waits { BACKLOG } else { CPU };
    meters.add(what, side, count, figures)?;
    let mut rate = |what: &str, time: Duration| {
        let rate = count as f64 / time.as_secs_f64();
        figures.add(&format!("{what}, {name}"), side, Unit::PerSecond, rate);
    };
    if !waits {
        rate("submissions in a second", accepted);
    }
    rate("tasks in a second", last - begun);
    Ok(count)
}

/// Sends each task after the result of the one before was stored. Returns the number of tasks.
fn one_by_one(
    board: &Board,
    producer: &mut Producer,
    side: &str,
    parts: Parts<'_>,
    effort: Effort,
    figures: &mut Figures,
) -> Result<usize> {
    let count = effort.of(200, 40);
    let meters = Meters::start(parts)?;
    let mut latencies = Series::new(GROUP.name, "", side, Unit::Seconds);
    for _ in 0..count {
        let started = Instant::now();
        for id in producer.send(1)? {
            let elapsed = board.wait(&id)? - started;
            latencies.samples.push(elapsed.as_secs_f64());
        }
    }
    std::thread::sleep(SETTLED);
    meters.add(ALONE, side, count, figures)?;
    figures.add(STORED, side, Unit::Seconds, latencies.median());
    let what = "latency, `delay()` to stored result, 95 % are faster";
    figures.add(what, side, Unit::Seconds, latencies.quantile(0.95));
    Ok(count)
}

/// Measures `delay().get()`.
fn get(
    producer: &mut Producer,
    side: &str,
    (interval, what): (Option<f64>, &str),
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    // With its own interval Celery looks twice a second.
    let count = effort.of(40, 10) * if interval.is_some() { 5 } else { 1 };
    let mut latencies = Series::new(GROUP.name, "", side, Unit::Seconds);
    latencies.samples = producer.get(count, interval)?;
    for (quantile, word) in [(0.5, "median"), (0.95, "95 % are faster")] {
        let what = format!("{what}, {word}");
        figures.add(&what, side, Unit::Seconds, latencies.quantile(quantile));
    }
    Ok(())
}

/// Counts the calls that the worker makes for each workflow.
fn workflows(
    stage: &Stage,
    service: &mut Service,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    for (name, what) in WORKFLOWS {
        let count = effort.of(10, 3);
        let before = stage.endpoint().tally();
        for _ in 0..count {
            service.producer.run(name)?;
            service.mapping.settle()?;
        }
        let calls = stage.endpoint().tally().since(&before);
        let what = format!("AWS calls for {what}");
        add_calls(&what, THIS, &calls, count, figures);
    }
    Ok(())
}

/// Adds calls to AWS, for each of `count` tasks or workflows.
fn add_calls(what: &str, side: &str, calls: &Tally, count: usize, figures: &mut Figures) {
    let each = |calls: u64| calls as f64 / count as f64;
    figures.add(what, side, Unit::Count, each(calls.calls()));
    let of_side = if side == THIS {
        ""
    } else {
        ", bodies in Python"
    };
    for (operation, spent) in calls.operations() {
        let side = format!("`{operation}`{of_side}");
        figures.add(what, &side, Unit::Count, each(spent.calls));
    }
}

/// Adds the memory of each part and of all parts together. Memory shared by several processes is
/// counted once.
fn memory(parts: Parts<'_>, side: &str, figures: &mut Figures) -> Result<()> {
    let mut total = 0.0;
    for (part, pids) in parts {
        let each = pids.iter().map(|pid| usage::memory_of_family(*pid));
        let each = each.collect::<Result<Vec<_>>>()?;
        let proportional: u64 = each.iter().map(|memory| memory.proportional).sum();
        let resident = each.iter().map(|memory| memory.resident).max();
        figures.add(MEMORY, part, Unit::Bytes, proportional as f64);
        let what = "resident memory after a burst, the largest process group";
        figures.add(what, part, Unit::Bytes, resident.unwrap_or(0) as f64);
        total += proportional as f64;
    }
    figures.add(MEMORY, side, Unit::Bytes, total);
    Ok(())
}

/// The meters of a side's parts.
struct Meters<'a>(Vec<(&'a str, Meter)>);

impl<'a> Meters<'a> {
    fn start(parts: Parts<'a>) -> Result<Meters<'a>> {
        let meters = parts.iter();
        let meters = meters.map(|(part, pids)| Ok((*part, Meter::start(pids.clone())?)));
        Ok(Meters(meters.collect::<Result<_>>()?))
    }

    /// Adds the CPU time since the start, of each part if there are several, and of all together.
    fn add(&self, what: &str, side: &str, tasks: usize, figures: &mut Figures) -> Result<()> {
        let mut total = 0.0;
        for (part, meter) in &self.0 {
            let cpu = meter.read()?.as_secs_f64() / tasks as f64 * 1_000.0;
            if self.0.len() > 1 {
                figures.add(what, part, Unit::CpuPerThousand, cpu);
            }
            total += cpu;
        }
        figures.add(what, side, Unit::CpuPerThousand, total);
        Ok(())
    }
}

/// The work of the emulators since a point in time.
struct Emulated {
    functions: Tally,
    clients: Tally,
    receiving: Duration,
}

impl Emulated {
    fn start(stage: &Stage, mapping: &Mapping) -> Emulated {
        Emulated {
            functions: stage.endpoint().tally(),
            clients: stage.endpoint().tally_of_clients(),
            receiving: mapping.fed().receiving,
        }
    }

    /// Adds the part of a latency that is the emulators'.
    fn add(
        &self,
        stage: &Stage,
        mapping: &Mapping,
        (side, tasks): (&str, usize),
        figures: &mut Figures,
    ) {
        let endpoint = stage.endpoint();
        let functions = endpoint.tally().since(&self.functions);
        let clients = endpoint.tally_of_clients().since(&self.clients);
        let receiving = mapping.fed().receiving - self.receiving;
        let sums = [&functions, &clients].map(|tally| tally.queue().time + tally.database());
        let time = receiving + sums.iter().sum::<Duration>();
        let what = "of which in the emulated SQS and DynamoDB, mean";
        let each = time.as_secs_f64() / tasks as f64;
        figures.add(what, side, Unit::Seconds, each);
    }
}
