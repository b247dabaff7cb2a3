//! `cargo xtask faults`: the test of the delivery contract, with more tasks than `cargo xtask test`
//! takes the time for, and other faults each time.

use std::hash::{BuildHasher as _, RandomState};

use local_stack::{Error, Result, functions, process};

use crate::arguments::FaultOptions;

/// Random sequences of each property, where `cargo test` tries a few dozen.
const SEQUENCES: u32 = 2_000;

/// Runs the tests: first of the engine alone, then of the whole service.
///
/// # Errors
/// When a task was lost, or something else was not as it must be.
pub fn run(options: FaultOptions) -> Result<()> {
    of_the_engine()?;
    of_the_service(options)
}

/// Crashes at every call, and races in every order, long ones too.
fn of_the_engine() -> Result<()> {
    println!("{SEQUENCES} random sequences of each property, and all races");
    let mut command = functions::cargo();
    command
        .args(["test", "--quiet", "--lib", "--", "--include-ignored"])
        .args([
            "tasks::worker::tests::world",
            "tasks::store::tests::model",
        ])
        .env("PROPTEST_CASES", SEQUENCES.to_string());
    if process::run("the test of the engine", command)?.success() {
        return Ok(());
    }
    Err(Error::new(
        "the delivery contract is broken: the messages above say by which sequence",
    ))
}

fn of_the_service(options: FaultOptions) -> Result<()> {
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
