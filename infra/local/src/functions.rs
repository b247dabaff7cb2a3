//! Builds the functions, and runs them under `cargo lambda watch`.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::process::{self, Log, Process};
use crate::template::Template;
use crate::{project, runtime};

/// How the functions are to run.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The `cargo-lambda` program.
    pub cargo_lambda: &'a Path,
    /// The program that runs each function.
    pub runner: &'a Path,
    /// The port of HTTP requests and of invocations.
    pub port: u16,
    /// The functions' environment.
    pub environment: &'a [(String, String)],
    /// Whether they are optimized.
    pub release: bool,
    /// Whether a changed source file reloads them.
    pub reload: bool,
    /// How many processes each function may have.
    pub concurrency: usize,
    /// A folder for small files.
    pub scratch: &'a Path,
}

/// A cargo command without what an outer cargo left in the environment: some
/// build scripts would take it for a change and compile everything again.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(project::root());
    forget_outer_cargo(&mut command);
    command
}

/// Takes from a command's environment what a cargo that runs us has put there.
pub(crate) fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let inherited = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_"];
        if inherited.iter().any(|prefix| name.starts_with(prefix))
            || matches!(
                name,
                "CARGO" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR"
            )
        {
            command.env_remove(name);
        }
    }
}

/// Builds the program that runs the functions, and returns where it is.
///
/// # Errors
/// When it does not compile.
pub fn build_runner() -> Result<PathBuf> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "--package",
        "local-stack",
        "--bin",
        "local-runner",
    ]);
    succeed(command, "the build of the local stack's runner")?;
    Ok(project::target().join("debug").join("local-runner"))
}

/// Builds every function at once. Left to the watcher, each would be built
/// when it is first called.
///
/// # Errors
/// When they don't compile; the compiler has then said why.
pub fn build(release: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--bins"]);
    if release {
        command.arg("--release");
    }
    succeed(command, "the build of the functions")
}

fn succeed(command: Command, what: &str) -> Result<()> {
    if process::run("cargo", command)?.success() {
        return Ok(());
    }
    Err(Error::new(format!(
        "{what} failed: see the compiler's messages above"
    )))
}

/// Starts the watcher and waits until it listens.
///
/// # Errors
/// When it does not come up.
pub fn start(settings: &Settings, template: &Template, log: &Log) -> Result<Process> {
    let command = watch_command(settings, template)?;
    // It gives the functions a second, and is killed after two.
    let mut process = Process::start("cargo lambda watch", command, log, Duration::from_secs(2))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
    for _ in 0..1000 {
        process.check()?;
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(process);
        }
        process::pause()?;
    }
    Err(Error::new(
        "cargo lambda watch does not listen after 30 seconds",
    ))
}

fn watch_command(settings: &Settings, template: &Template) -> Result<Command> {
    let file = settings.scratch.join("env");
    std::fs::write(&file, env_file(settings.environment)).context("cannot write the env file")?;
    let under_way = settings.scratch.join("under-way");
    let _ = std::fs::remove_dir_all(&under_way);
    std::fs::create_dir_all(&under_way).context("cannot create a folder")?;

    let mut command = process::tether(settings.runner, settings.cargo_lambda);
    command.current_dir(project::root());
    // The watcher runs cargo, which else would compile again what is built.
    forget_outer_cargo(&mut command);
    forget_aws(&mut command);
    command
        .args(["lambda", "watch", "--color", "never", "--disable-cors"])
        .args(["--invoke-address", "127.0.0.1"])
        .args(["--invoke-port", &settings.port.to_string()])
        .args(["--concurrency", &settings.concurrency.to_string()])
        .arg("--env-file")
        .arg(&file)
        .env(runner_variable()?, from_root(settings.runner))
        .env(runtime::TIMEOUTS, timeouts(template))
        .env(runtime::SCRATCH, &under_way)
        // Cargo's "Running …" before each function says nothing new.
        .env("CARGO_TERM_QUIET", "true");
    if settings.release {
        command.arg("--release");
    }
    if !settings.reload {
        command.arg("--ignore-changes");
    }
    Ok(command)
}

/// Takes the AWS settings of the terminal from a command's environment: it is
/// to reach nobody's real account.
pub(crate) fn forget_aws(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_aws(name)) {
        command.env_remove(name);
    }
}

fn is_aws(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("AWS_"))
}

fn timeouts(template: &Template) -> String {
    let entries: Vec<String> = template
        .timeouts()
        .iter()
        .map(|(name, seconds)| format!("{name}={seconds}"))
        .collect();
    entries.join(",")
}

/// The variable that has cargo run programs through another one.
fn runner_variable() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Error::new("rustc does not tell its host"))?;
    Ok(format!(
        "CARGO_TARGET_{}_RUNNER",
        host.to_uppercase().replace(['-', '.'], "_")
    ))
}

/// Cargo splits the runner at spaces, so the shorter its path the better.
fn from_root(path: &Path) -> &Path {
    path.strip_prefix(project::root()).unwrap_or(path)
}

fn env_file(environment: &[(String, String)]) -> String {
    environment
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name}={value}");
            text
        })
}

/// Reads `NAME=value` lines; empty ones and those that start with `#` are
/// left out.
#[must_use]
pub fn parse_env(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_files_are_read_and_written_alike() {
        let environment = parse_env("# a comment\nA=1\n\nURL=http://x/?a=b\n EMPTY=\nnothing\n");
        let pairs = [("A", "1"), ("URL", "http://x/?a=b"), ("EMPTY", "")];
        assert_eq!(
            environment,
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(parse_env(&env_file(&environment)), environment);
    }

    #[test]
    fn the_runner_variable_has_cargo_s_form() {
        let name = runner_variable().unwrap();
        assert!(name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER"));
        assert!(
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        );
    }
}
