//! `cargo xtask run`: the whole service until Ctrl-C.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use local_stack::{Error, Options, Result, Stack, process};

/// Makes Ctrl-C, a closed terminal and SIGTERM stop the current command in order.
///
/// # Errors
/// When the signal handler can't be set.
pub fn stop_on_signals() -> Result<()> {
    ctrlc::set_handler(process::interrupt)
        .map_err(|error| Error::new(format!("cannot handle signals: {error}")))
}

/// Starts the stack and waits for Ctrl-C.
///
/// # Errors
/// When the stack can't be started, or a part of it ends.
pub fn run(options: &Options) -> Result<()> {
    let mut stack = Stack::start(options)?;
    let file = stack.scratch().join("celery.env");
    stack.celery_settings().write(&file)?;
    print!("{}", welcome(&stack.url(), stack.key()));
    print!("{}", celery(&stack, &file));
    println!("\nThe functions' logs follow; Ctrl-C stops everything.\n");
    let result = until_stopped(|| stack.check());
    stack.stop();
    result
}

/// Prints that everything has stopped, if the terminal is still open.
pub fn say_stopped() {
    let _ = writeln!(std::io::stdout(), "\nstopped");
}

/// Waits for Ctrl-C, and calls `check` every 100 ms.
///
/// # Errors
/// When `check` fails.
pub fn until_stopped(mut check: impl FnMut() -> Result<()>) -> Result<()> {
    while !process::interrupted() {
        check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn welcome(url: &str, key: Option<&str>) -> String {
    let header = key.map_or(String::new(), |key| format!(" -H 'x-api-key: {key}'"));
    format!(
        "\nThe service answers at {url}\n\n  \
         curl -X POST {url}/process/{header} -H 'content-type: application/json' -d '{{\"values\":[1,2,3]}}'\n  \
         curl {url}/result/<task_id of that answer>{header}\n  \
         curl '{url}/users/?ids=1,2,3'{header}\n\n\
         Routes to try out: {url}/docs\n\
         The operator's page: {url}/dashboard\n\n"
    )
}

/// What a client of Celery needs to know.
fn celery(stack: &Stack, file: &Path) -> String {
    let application = stack.application().map_or(String::new(), |application| {
        let folder = application.found.root.display();
        format!(
            "The task bodies of {folder} run in a Python function ({}).\n",
            application.summary()
        )
    });
    format!(
        "{application}Settings for clients of Celery (docs/CELERY.md):\n\n{}\n\
         or, for an application that reads its settings from the environment:\n\n  source {}\n",
        stack.celery_settings().python(),
        file.display()
    )
}
