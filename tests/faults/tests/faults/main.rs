//! The delivery contract under faults: accepted work is not lost, each task ends once, and all
//! answers about a task are true, whatever happens to calls and processes.
//!
//! The functions call AWS through a proxy. The proxy refuses, loses, delays and repeats calls, and
//! observes which writes the table accepts. `FAULTS_SEED` is the seed of all random choices,
//! `FAULTS_TASKS` the number of submitted tasks, and `FAULTS_CELERY` the number of tasks in workflows that a
//! client of Celery sends; a quarter of the others if it is not set.

mod call;
mod clients;
mod cost;
mod fault;
mod judge;
mod kills;
mod numbers;
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
use storm::Size;

/// The defaults of `FAULTS_SEED` and `FAULTS_TASKS`.
const SEED: u64 = 1;
const TASKS: u64 = 2_000;
/// The submitted tasks for each task of Celery.
const OTHERS: u64 = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let (Some(seed), Some(size)) = (variable("FAULTS_SEED", SEED), size()) else {
        eprintln!("FAULTS_SEED, FAULTS_TASKS and FAULTS_CELERY must be whole numbers");
        return ExitCode::FAILURE;
    };
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None, seed, size)).exit_code();
    }
    let Size { tasks, of_celery } = size;
    println!("seed {seed}, {tasks} tasks, {of_celery} of Celery");
    let service = match Service::start(seed) {
        Ok(service) => Arc::new(service),
        Err(error) => {
            eprintln!("the service did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    libtest_mimic::run(&arguments, trials(Some(&service), seed, size)).exit_code()
}

/// The size of the storm; `None` if a variable is no number.
fn size() -> Option<Size> {
    let tasks = variable("FAULTS_TASKS", TASKS)?;
    let of_celery = variable("FAULTS_CELERY", tasks / OTHERS)?;
    Some(Size {
        tasks,
        of_celery: usize::try_from(of_celery).ok()?,
    })
}

fn variable(name: &str, default: u64) -> Option<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok(),
        Err(_) => Some(default),
    }
}

fn trials(service: Option<&Arc<Service>>, seed: u64, size: Size) -> Vec<Trial> {
    let trial = |name: &str, test: fn(&Service, u64, Size)| {
        let service = service.cloned();
        Trial::test(name, move || {
            if let Some(service) = service {
                test(&service, seed, size);
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
