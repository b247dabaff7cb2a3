//! The throughput and cost of more workers.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use local_stack::process::interrupted;
use local_stack::{Error, Result};

use crate::groups::tasks::DATA;
use crate::groups::tasks::service::Pool;
use crate::groups::{Bench, Figures, Group, THIS};
use crate::queue::{self, BATCH};
use crate::runtime::Function;
use crate::series::{Series, Unit};
use crate::stage::Stage;
use crate::tally::process_time;
use crate::usage::{self, Meter};

/// The figures of more workers.
pub const GROUP: Group = Group {
    name: "workers",
    title: "More workers",
    about: include_str!("../about/workers.md"),
    drawn: &[RATE, CPU],
    run,
};

const RATE: &str = "tasks in a second";
const CPU: &str = "CPU time of the workers";
const PAUSES: &str = "sleeps of a worker, for a task";
const WORKERS: &str = "cores at work: the workers";
const ROWS: &str = "cores at work: the embedded DynamoDB";
const QUEUE: &str = "cores at work: the emulated SQS";

/// A number of workers.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    name: &'static str,
    size: usize,
    /// Whether only one of the workers runs at a time.
    in_turn: bool,
}

const fn crowd(name: &'static str, size: usize, in_turn: bool) -> Crowd {
    Crowd {
        name,
        size,
        in_turn,
    }
}

/// Compared with 8 concurrent workers, the last entry separates the cost of more processes from the
/// cost of sharing cores.
const CROWDS: [Crowd; 5] = [
    crowd("1 worker", 1, false),
    crowd("2 workers", 2, false),
    crowd("4 workers", 4, false),
    crowd("8 workers", 8, false),
    crowd("8 workers in turn", 8, true),
];
/// The number of processes that submit tasks.
const SUBMITTERS: usize = 4;

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let stage = &bench.stage;
    let mut figures = Figures::new(GROUP.name);
    let submitters = Pool::start(stage, "process", SUBMITTERS)?;
    let program = stage.program("worker")?;
    let most = CROWDS
        .iter()
        .map(|crowd| crowd.size)
        .max()
        .unwrap_or_default();
    let workers = (0..most).map(|_| Function::start(&program));
    let workers: Result<Vec<_>> = workers.map(|started| started.map(|(one, _)| one)).collect();
    let mut workers = workers?;
    let tasks = bench.effort.of(2_000, 400);
    for worker in &mut workers {
        // The first invocation opens connections.
        let batch = batches(stage, &submitters, BATCH)?;
        work(std::slice::from_mut(worker), batch, false)?;
    }
    for _ in 0..bench.effort.rounds(5) {
        for crowd in CROWDS {
            let batches = batches(stage, &submitters, tasks)?;
            let workers = &mut workers[..crowd.size];
            measure(crowd, stage, workers, batches, &mut figures)?;
        }
    }
    Ok(figures.into_series())
}

/// Measures workers while they run batches.
fn measure(
    crowd: Crowd,
    stage: &Stage,
    workers: &mut [Function],
    batches: Vec<String>,
    figures: &mut Figures,
) -> Result<()> {
    let tasks = (batches.len() * BATCH) as f64;
    let meter = Meter::start(workers.iter().map(Function::pid))?;
    let paused = pauses(workers)?;
    let emulator = stage.emulator().process_id();
    let (emulated, own) = (usage::cpu_of_family(emulator)?, process_time());
    let started = Instant::now();
    work(workers, batches, crowd.in_turn)?;
    let wall = started.elapsed().as_secs_f64();
    let own = process_time().saturating_sub(own).as_secs_f64();
    let emulated = usage::cpu_of_family(emulator)?.saturating_sub(emulated);
    workers.iter_mut().try_for_each(Function::settle)?;
    let cpu = meter.read()?.as_secs_f64();
    let paused = pauses(workers)?.saturating_sub(paused);
    for (what, unit, sample) in [
        (RATE, Unit::PerSecond, tasks / wall),
        (CPU, Unit::CpuPerThousand, cpu / tasks * 1_000.0),
        (PAUSES, Unit::Count, paused as f64 / tasks),
        (WORKERS, Unit::Count, cpu / wall),
        (ROWS, Unit::Count, own / wall),
        (QUEUE, Unit::Count, emulated.as_secs_f64() / wall),
    ] {
        figures.add_of(crowd.name, what, THIS, unit, sample);
    }
    Ok(())
}

/// How often the workers' threads have gone to sleep.
fn pauses(workers: &[Function]) -> Result<u64> {
    workers
        .iter()
        .map(|worker| usage::pauses(worker.pid()))
        .sum()
}

/// Submits tasks and takes their messages out of the queue. Returns the events of the batches, all
/// of which exist before the first worker starts.
fn batches(stage: &Stage, submitters: &Pool, tasks: usize) -> Result<Vec<String>> {
    let queue = stage.queue();
    queue.purge()?;
    let (_, submission) = stage.event("POST", "/process/", Some(DATA))?;
    let left = Mutex::new(0..tasks);
    let submit = || {
        while next(&left).is_some() {
            submitters.invoke(submission.as_bytes())?;
        }
        Ok(())
    };
    at_once((0..SUBMITTERS).map(|_| submit))?;
    let (mut events, mut left) = (Vec::new(), tasks);
    while left > 0 {
        let records = queue.receive(Duration::from_secs(1))?;
        if records.is_empty() {
            return Err(Error::new(format!("{left} messages are missing")));
        }
        left = left.saturating_sub(records.len());
        if records.len() < BATCH && left > 0 {
            return Err(Error::new("a batch is not full"));
        }
        events.push(queue::event(&records));
    }
    Ok(events)
}

/// Runs all batches on the workers, each of which takes the next batch when it is free; optionally
/// only one worker runs at a time.
fn work(workers: &mut [Function], batches: Vec<String>, in_turn: bool) -> Result<()> {
    let (left, turn) = (Mutex::new(batches.into_iter()), Mutex::new(()));
    let (left, turn) = (&left, in_turn.then_some(&turn));
    at_once(workers.iter_mut().map(|worker| {
        move || {
            while let Some(event) = next(left) {
                let _turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
                let answer = worker.invoke(event.as_bytes())?.body;
                if !queue::is_done(&answer) {
                    let text = String::from_utf8_lossy(&answer);
                    return Err(Error::new(format!("the worker failed: {text}")));
                }
            }
            Ok(())
        }
    }))
}

/// The next element of a shared iterator; `None` after an interruption.
fn next<T>(left: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    left.next().filter(|_| !interrupted())
}

/// Runs each function in its own thread.
fn at_once<W: FnOnce() -> Result<()> + Send>(works: impl Iterator<Item = W>) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = works.map(|work| scope.spawn(work)).collect();
        let died = |_| Err(Error::new("a thread died"));
        let ends = threads.into_iter();
        let ends: Vec<_> = ends.map(|end| end.join().unwrap_or_else(died)).collect();
        ends.into_iter().collect::<Result<()>>()
    })?;
    match interrupted() {
        true => Err(Error::new("stopped")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_thread_fails_at_once() {
        let works = |failing: usize| {
            (0..4).map(move |at| {
                move || match at == failing {
                    true => Err(Error::new("failed")),
                    false => Ok(()),
                }
            })
        };
        assert!(at_once(works(2)).is_err());
        assert!(at_once(works(9)).is_ok());
    }
}
