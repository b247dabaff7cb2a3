//! Statistics of large files.

use local_stack::http::Server;
use local_stack::{Error, Result, project};
use serde_json::json;

use super::{Bench, Figures, Group, THIS, progress};
use crate::files::{self, Format};
use crate::peers::Measured;
use crate::runtime::{Function, Program};
use crate::series::{Series, Unit};
use crate::usage::{self, Meter};

const CSV: [&str; 3] = ["CSV", "CSV, CPU", "CSV, peak memory"];
const LINES: [&str; 3] = ["JSON Lines", "JSON Lines, CPU", "JSON Lines, peak memory"];

/// The CPU time of a table's statistics.
pub const CSV_CPU: &str = CSV[1];

/// The CPU time of the statistics of JSON Lines.
pub const LINES_CPU: &str = LINES[1];

/// The group.
pub const GROUP: Group = Group {
    name: "profile",
    title: "Statistics of a file",
    about: include_str!("about/profile.md"),
    drawn: &[CSV[0], CSV[1], CSV[2], LINES[0], LINES[1], LINES[2]],
    run,
};

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let mut figures = Figures::new(GROUP.name);
    let rounds = bench.effort.rounds(3);
    let bytes = bench.effort.of(100, 10) * 1_000_000;
    let folder = project::target().join("bench/files");
    let server = files::serve(&folder)?;
    for round in 1..=rounds {
        progress(GROUP.name, round, rounds);
        for (format, words) in [(Format::Csv, CSV), (Format::JsonLines, LINES)] {
            let (path, records) = files::make(&folder, format, bytes)?;
            let name = path.file_name().unwrap_or_default().display().to_string();
            let measured = job(bench, &server, &name, records)?;
            add(&mut figures, words, THIS, measured);
            let path = path.display().to_string();
            for method in ["pandas", "polars", "json"] {
                let measured = peer(bench, method, &path, records)?;
                let side = if method == "json" {
                    reader(format)
                } else {
                    method
                };
                add(&mut figures, words, side, measured);
            }
        }
    }
    Ok(figures.into_series())
}

/// What the side is that only reads, and describes nothing.
fn reader(format: Format) -> &'static str {
    match format {
        Format::Csv => "Python's csv (reads only)",
        Format::JsonLines => "Python's json (reads only)",
    }
}

fn add(figures: &mut Figures, [wall, cpu, peak]: [&str; 3], side: &str, measured: Measured) {
    figures.add(wall, side, Unit::Seconds, measured.wall.as_secs_f64());
    figures.add(cpu, side, Unit::Seconds, measured.cpu.as_secs_f64());
    figures.add(peak, side, Unit::Bytes, measured.peak as f64);
}

/// The file as one task of a worker, which reads it from the server.
fn job(bench: &mut Bench, server: &Server, name: &str, records: u64) -> Result<Measured> {
    let source = format!("http://127.0.0.1:{}/{name}", server.port());
    let task = bench
        .stage
        .submit("/process/", &json!({"source_url": source}))?;
    let mut program = bench.stage.program("worker")?;
    allow(&mut program, server.port());
    let (mut worker, _) = Function::start(&program)?;
    worker.settle()?;
    let meter = Meter::start([worker.pid()])?;
    let (answer, result) = bench.stage.run(&mut worker, &task)?;
    let cpu = meter.read()?;
    if result["records"] != records {
        let text = result.to_string();
        let start: String = text.chars().take(500).collect();
        return Err(Error::new(format!("not {records} records: {start}")));
    }
    Ok(Measured {
        wall: answer.elapsed,
        cpu,
        peak: usage::peak(worker.pid())?,
        count: records,
    })
}

/// Lets a function fetch from a port of this machine.
fn allow(program: &mut Program, port: u16) {
    let hosts = program
        .environment
        .iter_mut()
        .find(|(name, _)| name == "FETCH_ALLOW_HOSTS");
    if let Some((_, hosts)) = hosts {
        hosts.push_str(&format!(",127.0.0.1:{port}"));
    }
}

fn peer(bench: &Bench, method: &str, path: &str, records: u64) -> Result<Measured> {
    let measured = bench
        .peers
        .measured(&["describe.py", method, path], "rows")?;
    if measured.count != records {
        let rows = measured.count;
        return Err(Error::new(format!(
            "{method} read {rows} of {records} records"
        )));
    }
    Ok(measured)
}
