//! `cargo xtask faults`: the tests of the delivery contract, with more tasks than in `cargo xtask
//! test` and with new random faults in each run.

use std::hash::{BuildHasher as _, RandomState};

use local_stack::{Error, Result, functions, process};

use crate::arguments::FaultOptions;

/// Random sequences for each property; `cargo test` runs a few dozen.
const SEQUENCES: u32 = 2_000;

/// Runs the tests of the task engine, then the tests of the whole service.
///
/// # Errors
/// When a task was lost, or another assertion failed.
pub fn run(options: FaultOptions) -> Result<()> {
    of_the_engine()?;
    of_the_service(options)
}

/// Crashes at every call, and all orders of races, also of long ones.
fn of_the_engine() -> Result<()> {
    println!("{SEQUENCES} random sequences for each property, and all races");
    let mut command = functions::cargo();
    command
        .args(["test", "--quiet", "--lib", "--", "--include-ignored"])
        .args(["tasks::worker::tests::world", "tasks::store::tests::model"])
        .env("PROPTEST_CASES", SEQUENCES.to_string());
    if process::run("the test of the engine", command)?.success() {
        return Ok(());
    }
    Err(Error::new(
        "the delivery contract is broken: the messages above have the sequence",
    ))
}

fn of_the_service(options: FaultOptions) -> Result<()> {
    // Each hasher of the standard library has random keys, so its hash is a random number.
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
