//! The delivery contract under faults: accepted work is not lost, each task ends once, and all
//! answers about a task are true, whatever happens to calls and processes.
//!
//! The functions call AWS through a proxy. The proxy refuses, loses, delays and repeats calls, and
//! observes which writes the table accepts. `FAULTS_SEED` is the seed of all random choices,
//! `FAULTS_TASKS` the number of submitted tasks.

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
mod workflows;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use service::Service;

/// The defaults of `FAULTS_SEED` and `FAULTS_TASKS`.
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
        eprintln!("FAULTS_SEED and FAULTS_TASKS must be whole numbers");
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
        // First, because no other test may make calls at the same time.
        trial("cost::of_a_small_task_is_four_calls", |service, _, _| {
            cost::of_a_small_task_is_four_calls(service);
        }),
        trial(
            "poison::is_dead_lettered_and_its_batch_runs",
            |service, _, _| poison::is_dead_lettered_and_its_batch_runs(service),
        ),
        trial("storm::no_task_is_lost_and_each_ends_once", storm::run),
    ]
}
