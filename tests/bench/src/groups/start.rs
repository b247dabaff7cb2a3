//! The time from a process' start to its first answer.

use std::time::Duration;

use local_stack::{Context, Result};

use super::{
    Bench, CELERY, Effort, FASTAPI, Figures, Group, LAMBDA_HTTP, LOOP, MANGUM, NODE, THIS, progress,
};
use crate::runtime::{Function, Program};
use crate::series::{Series, Unit};
use crate::workload::{WORKLOADS, Workload};

/// From the start of the process to its first request for an event.
pub const START: &str = "start to first /next";
/// From sending the first event to its answer.
pub const FIRST: &str = "first answer";

/// The group's description.
pub const GROUP: Group = Group {
    name: "start",
    title: "Starting",
    about: include_str!("about/start.md"),
    drawn: &[START, FIRST],
    run,
};

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let mut figures = Figures::new(GROUP.name);
    let rounds = bench.effort.rounds(5);
    for round in 1..=rounds {
        progress(GROUP.name, round, rounds);
        of_servers(bench, &mut figures)?;
        of_other_functions(bench, &mut figures)?;
        of_functions(bench, &mut figures)?;
    }
    Ok(figures.into_series())
}

/// How often each function is started in a round.
fn starts(effort: Effort) -> usize {
    effort.of(5, 2)
}

fn of_functions(bench: &mut Bench, figures: &mut Figures) -> Result<()> {
    for workload in &WORKLOADS {
        let program = bench.stage.program(workload.function)?;
        let count = starts(bench.effort);
        let events = workload.events(&mut bench.stage, count)?;
        for event in &events {
            let times = started(&program, event)?;
            add(figures, workload.function, THIS, times);
        }
    }
    Ok(())
}

fn of_other_functions(bench: &mut Bench, figures: &mut Figures) -> Result<()> {
    let event = Workload::of("root")?.event(&mut bench.stage)?;
    for (side, program) in other_functions(bench) {
        // One start of Python takes as long as a hundred starts of the others.
        let starts = if side == MANGUM {
            1
        } else {
            starts(bench.effort)
        };
        for _ in 0..starts {
            let times = started(&program, &event)?;
            add(figures, "root", side, times);
        }
    }
    Ok(())
}

/// The peers that are Lambda functions and answer `GET /`.
pub fn other_functions(bench: &Bench) -> Vec<(&'static str, Program)> {
    let upstream = bench.stage.upstream();
    let bare = |name: &str| Program::function(&bench.peers.bare(name), name, &[]);
    let mut sides = vec![(MANGUM, bench.peers.mangum(&upstream))];
    sides.extend(bench.peers.node().map(|node| (NODE, node)));
    sides.push((LAMBDA_HTTP, bare("bare_lambda_http")));
    sides.push((LOOP, bare("bare_loop")));
    sides
}

fn of_servers(bench: &mut Bench, figures: &mut Figures) -> Result<()> {
    let Some(redis) = bench.peers.redis()? else {
        return Ok(());
    };
    let upstream = bench.stage.upstream();
    let (_, elapsed) = bench.peers.service(redis.port, &upstream)?;
    figures.add_of("root", START, FASTAPI, Unit::Seconds, elapsed.as_secs_f64());
    let (_, elapsed) = bench.peers.celery(redis.port, "INFO")?;
    figures.add_of(
        "worker",
        START,
        CELERY,
        Unit::Seconds,
        elapsed.as_secs_f64(),
    );
    Ok(())
}

/// Starts a function and sends it one event. Returns the time of the start and of the answer.
fn started(program: &Program, event: &str) -> Result<(Duration, Duration)> {
    let name = &program.name;
    let (mut function, start) = Function::start(program)?;
    let answer = function.invoke(event.as_bytes());
    Ok((start, answer.context(name)?.elapsed))
}

fn add(figures: &mut Figures, subject: &str, side: &str, (start, first): (Duration, Duration)) {
    figures.add_of(subject, START, side, Unit::Seconds, start.as_secs_f64());
    figures.add_of(subject, FIRST, side, Unit::Seconds, first.as_secs_f64());
}
