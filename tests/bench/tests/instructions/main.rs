//! Compares the number of instructions of each function, for its start and for one invocation, with
//! `tests/bench/instructions.json`. Unlike time, the count does not depend on other programs on the
//! machine, so a change that adds a few per cent is visible at once.
//!
//! Valgrind's callgrind runs the optimized executables with their real calls to AWS. Counts are
//! valid for one architecture, compiler and C library; on other platforms they are printed and not
//! compared. `BENCH_BLESS=1` stores the counts of the functions named on the command line, or of
//! all functions. `BENCH_EXECUTABLES` is a folder with existing executables, such as those of
//! another commit; without it the test builds the executables.

mod count;
mod figures;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bench::stage::Stage;
use bench::workload::{CELERY, WORKLOADS};
use libtest_mimic::{Arguments, Failed, Trial};
use local_stack::deploy::sam;
use local_stack::{Result, project, setup};

use count::Counts;
use figures::{Figures, Platform, Verdict, compare, grouped};

/// How many functions are measured concurrently, each on its own stage.
const AT_ONCE: usize = 2;

/// The state that all trials share.
struct Session {
    stored: Figures,
    /// Why counts are not compared; `None` if they are.
    incomparable: Option<String>,
    stages: Mutex<Vec<Stage>>,
    counted: Mutex<BTreeMap<String, Counts>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(AT_ONCE);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    if !has_valgrind() {
        let missing = "counting instructions needs valgrind, which is not installed";
        if std::env::var_os("CI").is_some() {
            eprintln!("{missing}: its package is `valgrind`");
            return ExitCode::FAILURE;
        }
        println!("skipped: {missing}");
        return ExitCode::SUCCESS;
    }
    run(&arguments).unwrap_or_else(|error| {
        eprintln!("the instructions could not be counted: {error}");
        ExitCode::FAILURE
    })
}

fn has_valgrind() -> bool {
    let output = Command::new("valgrind").arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let here = Platform::here()?;
    let stored = Figures::read()?;
    let bless = std::env::var_os("BENCH_BLESS").is_some();
    let difference = here.difference(&stored.platform);
    let incomparable = difference
        .clone()
        .or_else(|| bless.then(|| "they are stored".to_owned()));
    let executables = executables()?;
    let stages: Result<Vec<Stage>> = (0..AT_ONCE).map(|_| count::stage(&executables)).collect();
    let session = Arc::new(Session {
        stored,
        incomparable,
        stages: Mutex::new(stages?),
        counted: Mutex::default(),
    });
    let conclusion = libtest_mimic::run(arguments, trials(Some(&session)));
    session.report();
    if bless && !conclusion.has_failed() {
        session.store(here, difference.is_some())?;
    }
    Ok(conclusion.exit_code())
}

/// The folder of the optimized executables.
fn executables() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("BENCH_EXECUTABLES") {
        return Ok(folder.into());
    }
    sam::compile(&setup::run_tools()?, true)?;
    Ok(project::target().join("lambda"))
}

fn trials(session: Option<&Arc<Session>>) -> Vec<Trial> {
    let trial = |name: &'static str| {
        let session = session.cloned();
        Trial::test(name, move || match session {
            Some(session) => session.measure(name),
            None => Ok(()),
        })
    };
    names().map(trial).collect()
}

/// The names of all workloads.
fn names() -> impl Iterator<Item = &'static str> {
    let functions = WORKLOADS.iter().map(|workload| workload.function);
    functions.chain([CELERY.0])
}

impl Session {
    /// Counts the instructions of one function, and fails if a count is above the tolerance.
    fn measure(&self, name: &str) -> std::result::Result<(), Failed> {
        let stage = lock(&self.stages).pop();
        let mut stage = stage.ok_or("no stage is free")?;
        let counts = count::count(&mut stage, name);
        lock(&self.stages).push(stage);
        let counts = counts?;
        lock(&self.counted).insert(name.to_owned(), counts);
        if self.incomparable.is_some() {
            return Ok(());
        }
        let stored = self.stored.functions.get(name);
        let stored = stored.ok_or("no counts are stored: run again with BENCH_BLESS=1")?;
        match compare(name, counts, *stored) {
            Verdict::Over(figures) => Err(Failed::from(figures)),
            Verdict::Under(_) | Verdict::Same => Ok(()),
        }
    }

    /// Prints the counts, and hints.
    fn report(&self) {
        println!(
            "{:<14} {:>12} {:>16}",
            "instructions", "start", "warm invocation"
        );
        let counted = lock(&self.counted);
        for (name, counts) in counted.iter() {
            let (start, warm) = (grouped(counts.start), grouped(counts.warm));
            println!("{name:<14} {start:>12} {warm:>16}");
        }
        if let Some(reason) = &self.incomparable {
            println!("not compared: {reason}");
            return;
        }
        for (name, counts) in counted.iter() {
            let stored = self.stored.functions.get(name);
            if let Some(Verdict::Under(figures)) =
                stored.map(|stored| compare(name, *counts, *stored))
            {
                println!("{name} needs less than stored, {figures}: run again with BENCH_BLESS=1");
            }
        }
    }

    /// Stores the counts. The stored counts of other functions stay, unless they are of another
    /// platform.
    fn store(&self, platform: Platform, elsewhere: bool) -> Result<()> {
        let mut functions = match elsewhere {
            true => BTreeMap::new(),
            false => self.stored.functions.clone(),
        };
        functions.extend(lock(&self.counted).clone());
        functions.retain(|name, _| names().any(|known| known == name));
        Figures {
            platform,
            functions,
        }
        .write()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
