//! `cargo xtask faults`: the test of the delivery contract, with more tasks than `cargo xtask test`
//! takes the time for, and other faults each time.

use std::hash::{BuildHasher as _, RandomState};

use local_stack::{Error, Result, functions, process};

use crate::arguments::FaultOptions;

/// Runs the test.
///
/// # Errors
/// When a task was lost, or something else was not as it must be.
pub fn run(options: FaultOptions) -> Result<()> {
    // Each hasher of the standard library has random keys.
    let random = || RandomState::new().hash_one(()) >> 32;
    let (seed, tasks) = (options.seed.unwrap_or_else(random), options.tasks);
    println!("cargo xtask faults --seed {seed} --tasks {tasks}");
    let mut command = functions::cargo();
    command
        .args(["test", "--quiet", "-p", "faults", "--test", "faults"])
        .env("FAULTS_SEED", seed.to_string())
        .env("FAULTS_TASKS", tasks.to_string());
    if process::run("the test", command)?.success() {
        return Ok(());
    }
    Err(Error::new(format!(
        "the delivery contract is broken: the messages above say how, \
         `cargo xtask faults --seed {seed} --tasks {tasks}` tries the same again"
    )))
}
