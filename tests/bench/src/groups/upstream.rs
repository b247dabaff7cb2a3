//! Users that are read through an upstream service.

use local_stack::{Context, Result};

use super::client::Client;
use super::invocations::{CPU, LATENCY, Load, load, warm_up};
use super::{Bench, FASTAPI, Figures, Group, MANGUM, THIS, progress};
use crate::series::{Series, Unit};

/// The group's description.
pub const GROUP: Group = Group {
    name: "upstream",
    title: "Users through the upstream",
    about: include_str!("about/upstream.md"),
    drawn: &[CPU, LATENCY],
    run,
};

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let mut figures = Figures::new(GROUP.name);
    let rounds = bench.effort.rounds(5);
    let count = bench.effort.of(200, 50);
    // The upstream's users suffice, because all copies are deleted after each round.
    let targets: Vec<String> = (1..=count + warm_up(count))
        .map(|id| format!("/users/{id}"))
        .collect();
    let mut events = Vec::with_capacity(targets.len());
    for target in &targets {
        events.push(bench.stage.event("GET", target, None)?.1);
    }
    for round in 1..=rounds {
        progress(GROUP.name, round, rounds);
        bench.stage.forget_users()?;
        let program = bench.stage.program("read_user")?;
        add(
            &mut figures,
            THIS,
            &load(&program, &events, count).context(THIS)?,
        );
        let program = bench.peers.mangum(&bench.stage.upstream());
        add(
            &mut figures,
            MANGUM,
            &load(&program, &events, count).context(MANGUM)?,
        );
        if let Some(redis) = bench.peers.redis()? {
            let (served, _) = bench.peers.service(redis.port, &bench.stage.upstream())?;
            let load = Client::new(served.port).load(served.pid(), &targets, count)?;
            add(&mut figures, FASTAPI, &load);
        }
    }
    Ok(figures.into_series())
}

fn add(figures: &mut Figures, side: &str, load: &Load) {
    figures.add(CPU, side, Unit::CpuPerThousand, load.cpu);
    figures.add(LATENCY, side, Unit::Seconds, load.latency.as_secs_f64());
}
