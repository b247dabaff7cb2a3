//! `cargo xtask bench`: measures this service side by side with what it replaces.

use std::path::Path;

use local_stack::deploy::sam;
use local_stack::{Error, Result, functions, process, project, setup};

use crate::arguments::BenchOptions;

/// The manifest of the functions that are the least a function in Rust can be.
pub const BARE: &str = "tests/bench/bare/Cargo.toml";

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
    // The folders that the two builds above have filled.
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

/// Builds the other functions of Rust, which are a workspace of their own.
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
        "`cargo {what}` failed: its messages are above"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a manifest that say how what is released is compiled.
    fn release_profile(path: &str) -> Vec<String> {
        let text = std::fs::read_to_string(project::root().join(path)).unwrap();
        let lines = text.lines().skip_while(|line| *line != "[profile.release]");
        lines
            .take_while(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_bare_functions_are_compiled_as_ours() {
        let ours = release_profile("Cargo.toml");
        assert!(ours.len() > 1);
        assert_eq!(release_profile(BARE), ours);
    }
}
