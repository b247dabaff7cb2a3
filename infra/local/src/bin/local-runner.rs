//! Runs one program for the local stack: `local-runner tether PROGRAM …` ties
//! it to the life of the parent, `local-runner PROGRAM …` runs it as a Lambda
//! function. Cargo calls the second, people call neither.

use std::path::Path;
use std::process::ExitCode;

use local_stack::{process, runtime};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let error = match arguments.as_slice() {
        [word, program, rest @ ..] if word == "tether" => process::become_tethered(program, rest),
        [program, rest @ ..] => match runtime::run(Path::new(program), rest) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => error,
        },
        [] => local_stack::Error::new("usage: local-runner [tether] PROGRAM [ARGUMENT…]"),
    };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
