//! `cargo xtask bench`: compares this service with the FastAPI application that it replaces.

use std::path::Path;

use local_stack::deploy::sam;
use local_stack::{Error, Result, functions, process, project, setup};

use crate::arguments::BenchOptions;

/// The manifest of the minimal Rust functions.
pub const BARE: &str = "tests/bench/bare/Cargo.toml";

/// Builds the measured programs, and runs `bench` on them.
///
/// # Errors
/// When a build or a measurement fails.
pub fn run(options: &BenchOptions) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            "`cargo xtask bench` needs Linux, because it reads the CPU time and memory of processes from /proc",
        ));
    }
    println!("▶ tools");
    let tools = setup::run_tools()?;
    setup::bench_peers()?;
    println!("▶ optimized functions (about a quarter of an hour for the first build)");
    sam::compile(&tools, true)?;
    let target = project::target();
    build_bare(&target)?;
    let mut words = vec![
        "run",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "bench",
        "--",
    ];
    // The target folders of the two builds above.
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

/// Builds the minimal functions, which are a workspace of their own.
fn build_bare(target: &Path) -> Result<()> {
    let target = target.display().to_string();
    let words = ["build", "--quiet", "--release", "--locked"];
    let of_bare = ["--manifest-path", BARE, "--target-dir", &target];
    cargo(&[&words[..], &of_bare].concat())
}

fn cargo(words: &[&str]) -> Result<()> {
    let mut command = functions::cargo();
    command.args(words);
    if process::run("cargo", command)?.success() {
        return Ok(());
    }
    let what = words.join(" ");
    Err(Error::new(format!(
        "`cargo {what}` failed: see the messages above"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a manifest's release profile.
    fn release_profile(path: &str) -> Vec<String> {
        let text = std::fs::read_to_string(project::root().join(path)).unwrap();
        let lines = text.lines().skip_while(|line| *line != "[profile.release]");
        lines
            .take_while(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_minimal_functions_have_the_service_s_release_profile() {
        let ours = release_profile("Cargo.toml");
        assert!(ours.len() > 1);
        assert_eq!(release_profile(BARE), ours);
    }
}
