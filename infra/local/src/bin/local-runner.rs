//! Runs one program for the local stack. `local-runner tether PROGRAM …` ends the program when the
//! parent process ends; `local-runner PROGRAM` runs it as a Lambda function. The stack starts the
//! first form, cargo the second.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use local_stack::{Error, process, runtime};

/// The variable that passes the function's program to the restarted runner.
const FUNCTION: &str = "LOCAL_STACK_FUNCTION";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let error = match arguments.as_slice() {
        [word, program, rest @ ..] if word == "tether" => process::become_tethered(program, rest),
        [program, ..] => restart_nameless(program),
        [] => match std::env::var(FUNCTION) {
            Ok(program) => match runtime::run(Path::new(&program)) {
                Ok(()) => return ExitCode::SUCCESS,
                Err(error) => error,
            },
            Err(_) => Error::new("usage: local-runner [tether] PROGRAM [ARGUMENT…]"),
        },
    };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Starts this program again without arguments. A test that kills workers looks for `worker` in the
/// list of processes, and must find the function there, not this runner.
fn restart_nameless(program: &str) -> Error {
    let own = std::env::current_exe();
    let own = own.unwrap_or_else(|_| "/proc/self/exe".into());
    let cause = Command::new(own).env(FUNCTION, program).exec();
    Error::new(format!("cannot start again: {cause}"))
}
