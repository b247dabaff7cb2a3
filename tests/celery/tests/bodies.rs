//! Runs the application of `examples/celery` in the local stack: its task bodies in a Python function, its
//! client, its web service, killed processes, a changed body, and its scheduler in a function.

use std::path::{Path, PathBuf};
use std::process::Command;

use local_stack::celery::Application;
use local_stack::{Context, Error, Options, Result, Stack, project};

fn main() -> Result<()> {
    if std::env::args().any(|word| word == "--list") {
        return Ok(());
    }
    unit_tests()?;
    let example = project::root().join("examples/celery");
    let application = Application {
        folder: example.clone(),
        ..Application::default()
    };
    // The environment belongs to the folder of the example, and the tests change a copy.
    let python = application.prepare(0)?.python;
    let copy = project::target()
        .join("local-stack")
        .join(format!("example-{}", std::process::id()));
    copy_files(&example, &copy)?;
    let result = try_all(&copy, &python);
    let _ = std::fs::remove_dir_all(&copy);
    result
}

fn try_all(application: &Path, python: &Path) -> Result<()> {
    let stack = Stack::start(&Options {
        celery: Some(Application {
            folder: application.to_owned(),
            queues: vec!["low".to_owned()],
            python: Some(python.to_owned()),
            beat: true,
            ..Application::default()
        }),
        concurrency: 12,
        environment: vec![("LEASE_SECONDS".to_owned(), "6".to_owned())],
        ..Options::default()
    })?;
    println!("logs: {}", stack.scratch().display());
    run(&stack, python, application, &["client.py".into()])?;
    let output = stack.scratch().join("bodies.log");
    for program in ["bodies.py", "scheduler.py"] {
        let program = project::root().join("tests/celery").join(program);
        let words = [program, application.to_owned(), output.clone()];
        run(&stack, python, application, &words)?;
    }
    Ok(())
}

/// The tests of this folder's Python programs and of the local stack's.
fn unit_tests() -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-B", "-m", "unittest", "--quiet"]);
    command.current_dir(project::root().join("tests/celery"));
    match command.status().context("cannot run Python")?.success() {
        true => Ok(()),
        false => Err(Error::new("the tests of the Python programs failed")),
    }
}

/// Runs a Python program in the folder of the application, with the settings of the stack.
fn run(stack: &Stack, python: &Path, folder: &Path, words: &[PathBuf]) -> Result<()> {
    let mut command = Command::new(python);
    command.arg("-B").args(words).current_dir(folder);
    command.envs(stack.celery_settings().variables());
    let status = command.status().context("cannot run Python")?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(format!("{}: {status}", words[0].display()))),
    }
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).context(format_args!("cannot create {}", to.display()))?;
    for entry in std::fs::read_dir(from)
        .context("cannot read the example")?
        .flatten()
    {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))
                .context("cannot copy the example")?;
        }
    }
    Ok(())
}
