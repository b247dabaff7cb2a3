//! Measures all groups, prints each group's tables when the group is done, and writes the report.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use bench::groups::{Bench, Effort, GROUPS, Group, named};
use bench::machine;
use bench::peers::Peers;
use bench::report::{Report, tables};
use bench::stage::Stage;
use lexopt::{Arg, Parser, ValueExt};
use local_stack::{Context, Error, Result, process, project};

/// The settings of a run.
struct Options {
    effort: Effort,
    groups: Vec<&'static Group>,
    /// The folder of the functions' executables, each in its own folder.
    functions: PathBuf,
    /// The folder of the bare functions' executables.
    bare: PathBuf,
    /// Whether the run has all groups with the full number of rounds.
    is_complete: bool,
}

fn main() -> ExitCode {
    let measured = options().and_then(|options| measure(&options));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        // After Ctrl-C there is nothing to explain.
        Err(_) if process::interrupted() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line, which `cargo xtask bench` writes.
fn options() -> Result<Options> {
    let target = project::target();
    let mut options = Options {
        effort: Effort::default(),
        groups: GROUPS.iter().collect(),
        functions: target.join("lambda"),
        bare: target.join("release"),
        is_complete: true,
    };
    parse(&mut Parser::from_env(), &mut options).map_err(|error| Error::new(error.to_string()))?;
    Ok(options)
}

fn parse(parser: &mut Parser, options: &mut Options) -> std::result::Result<(), lexopt::Error> {
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => options.effort.quick = true,
            Arg::Long("rounds") => options.effort.rounds = Some(parser.value()?.parse()?),
            Arg::Long("only") => {
                let names = parser.value()?.string()?;
                options.groups = named(&names).map_err(|error| error.to_string())?;
                options.is_complete = false;
            }
            Arg::Long("functions") => options.functions = parser.value()?.into(),
            Arg::Long("bare") => options.bare = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    options.is_complete &= !options.effort.quick;
    Ok(())
}

fn measure(options: &Options) -> Result<()> {
    ctrlc::set_handler(process::interrupt)
        .map_err(|error| Error::new(format!("cannot handle signals: {error}")))?;
    let scratch = project::target().join("bench");
    std::fs::create_dir_all(&scratch).context("cannot create target/bench")?;
    let mut bench = Bench {
        stage: Stage::start(&options.functions)?,
        peers: Peers::find(&options.bare)?,
        effort: options.effort,
    };
    tell_what_is_missing(&bench.peers);
    let mut report = Report {
        facts: machine::facts(&bench.peers),
        series: Vec::new(),
    };
    let samples = scratch.join("samples.json");
    for group in &options.groups {
        let started = Instant::now();
        println!("▶ {}", group.title);
        let measured = (group.run)(&mut bench)?;
        println!("\n{}", tables(&measured));
        let elapsed = started.elapsed().as_secs_f64();
        println!("✓ {} ({elapsed:.0} s)\n", group.title);
        report.series.extend(measured);
        // Written after each group, so that a failure of a later group loses no samples.
        report.write_samples(&samples)?;
    }
    // Only a complete report replaces the one in `docs`.
    let documents = project::root().join("docs");
    let is_complete =
        options.is_complete && bench.peers.redis.is_some() && bench.peers.node.is_some();
    let folder = if is_complete { &documents } else { &scratch };
    let document = folder.join("PERFORMANCE.md");
    report.write(&document)?;
    let (document, samples) = (document.display(), samples.display());
    println!("{document} has the report, {samples} every sample");
    Ok(())
}

fn tell_what_is_missing(peers: &Peers) {
    if peers.redis.is_none() {
        println!(
            "redis-server is not installed: the FastAPI service and Celery are left out \
             (on Debian or Ubuntu, `apt install redis-server` helps)"
        );
    }
    if peers.node.is_none() {
        println!("node is not installed: the function in Node.js is left out");
    }
}
