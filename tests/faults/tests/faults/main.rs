//! The delivery contract under faults: accepted work is not lost, each task ends once, and what is
//! said of it is true, whatever becomes of calls and processes on the way.
//!
//! The functions' calls to AWS go through a proxy that refuses, loses, delays and repeats them, and
//! that sees which writes the table took. `FAULTS_SEED` names the seed of all that is decided by
//! chance, `FAULTS_TASKS` how many tasks are submitted.

mod call;
mod clients;
mod cost;
mod fault;
mod judge;
mod kills;
mod observer;
mod order;
mod poison;
mod proxy;
mod report;
mod service;
mod storm;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use service::Service;

/// What is run without `FAULTS_SEED` and `FAULTS_TASKS`.
const SEED: u64 = 1;
const TASKS: u64 = 2_000;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None, 0, 0)).exit_code();
    }
    let (Some(seed), Some(tasks)) = (
        variable("FAULTS_SEED", SEED),
        variable("FAULTS_TASKS", TASKS),
    ) else {
        eprintln!("FAULTS_SEED and FAULTS_TASKS are whole numbers");
        return ExitCode::FAILURE;
    };
    println!("seed {seed}, {tasks} tasks");
    let service = match Service::start(seed) {
        Ok(service) => Arc::new(service),
        Err(error) => {
            eprintln!("the service did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    libtest_mimic::run(&arguments, trials(Some(&service), seed, tasks)).exit_code()
}

fn variable(name: &str, default: u64) -> Option<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok(),
        Err(_) => Some(default),
    }
}

fn trials(service: Option<&Arc<Service>>, seed: u64, tasks: u64) -> Vec<Trial> {
    let trial = |name: &str, test: fn(&Service, u64, u64)| {
        let service = service.cloned();
        Trial::test(name, move || {
            if let Some(service) = service {
                test(&service, seed, tasks);
            }
            Ok(())
        })
    };
    vec![
        // First, while nobody else makes calls.
        trial("cost::of_a_small_task_is_four_calls", |service, _, _| {
            cost::of_a_small_task_is_four_calls(service);
        }),
        trial(
            "poison::is_put_aside_and_its_neighbours_run",
            |service, _, _| poison::is_put_aside_and_its_neighbours_run(service),
        ),
        trial("storm::no_task_is_lost_and_each_ends_once", storm::run),
    ]
}
