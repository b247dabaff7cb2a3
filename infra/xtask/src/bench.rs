//! `cargo xtask bench`: measures this service side by side with what it replaces.

use local_stack::deploy::sam;
use local_stack::{Error, Result, functions, process, project, setup};

use crate::arguments::BenchOptions;

/// Builds what is measured, and has the program `bench` measure it.
///
/// # Errors
/// When something does not build, or cannot be measured.
pub fn run(options: &BenchOptions) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            "what a process uses is read from Linux: there is no `cargo xtask bench` elsewhere",
        ));
    }
    println!("▶ tools");
    let tools = setup::run_tools()?;
    setup::bench_peers()?;
    println!("▶ optimized functions (a quarter of an hour, if none has been built)");
    sam::compile(&tools, true)?;
    // The other functions of Rust, by the same profile.
    cargo(&["build", "--quiet", "--release", "--package", "bare"])?;
    let mut words = vec![
        "run",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "bench",
        "--",
    ];
    // The folders that the two builds above have filled.
    let target = project::target();
    let functions = target.join("lambda").display().to_string();
    let bare = target.join("release").display().to_string();
    words.extend(["--functions", &functions, "--bare", &bare]);
    if options.quick {
        words.push("--quick");
    }
    if let Some(groups) = &options.only {
        words.extend(["--only", groups]);
    }
    let rounds = options.rounds.map(|rounds| rounds.to_string());
    if let Some(rounds) = &rounds {
        words.extend(["--rounds", rounds]);
    }
    cargo(&words)
}

fn cargo(words: &[&str]) -> Result<()> {
    let mut command = functions::cargo();
    command.args(words);
    if process::run("cargo", command)?.success() {
        return Ok(());
    }
    let what = words.join(" ");
    Err(Error::new(format!(
        "`cargo {what}` failed: its messages are above"
    )))
}
