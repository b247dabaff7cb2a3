//! The project's commands: `cargo xtask run`, `deploy`, `keys`, `smoke`, `test`, `faults`, `bench`
//! and `generate`.

use std::process::ExitCode;

use local_stack::{Result, process};

mod arguments;
mod bench;
mod deploy;
mod faults;
mod generate;
mod keys;
mod run;
mod smoke;
mod test;

use arguments::Command;

fn main() -> ExitCode {
    let outcome = start();
    if process::interrupted() {
        run::say_stopped();
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // After Ctrl-C there is nothing to explain.
        Err(_) if process::interrupted() => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    let command = arguments::parse(std::env::args_os().skip(1))?;
    run::stop_on_signals()?;
    match command {
        Command::Help => {
            print!("{}", arguments::HELP);
            Ok(())
        }
        Command::Run(options) => run::run(&options),
        Command::Deploy(options) => deploy::run(&options),
        Command::Keys(place, words) => keys::run(&place, &words),
        Command::Smoke(options) => smoke::run(&options),
        Command::Test(options) => test::run(options),
        Command::Faults(options) => faults::run(options),
        Command::Bench(options) => bench::run(&options),
        Command::Generate => generate::run(),
    }
}
