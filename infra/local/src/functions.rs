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

/// The settings of the functions.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// The `cargo-lambda` program.
    pub cargo_lambda: &'a Path,
    /// The program that runs each function, see [`crate::runtime`].
    pub runner: &'a Path,
    /// The port for HTTP requests and invocations.
    pub port: u16,
    /// The functions' environment variables.
    pub environment: &'a [(String, String)],
    /// Whether the functions are built with optimizations.
    pub release: bool,
    /// Whether `cargo lambda watch` rebuilds functions when a source file changes.
    pub reload: bool,
    /// The maximum number of processes of each function.
    pub concurrency: usize,
    /// A folder for the watcher's small files.
    pub scratch: &'a Path,
}

/// A cargo command without the variables of an outer cargo. With these variables some build scripts
/// see a change, and cargo compiles everything again.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(project::root());
    forget_outer_cargo(&mut command);
    command
}

/// Removes the variables that an outer cargo sets from a command's environment.
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

/// Builds the program that runs the functions, and returns its path.
///
/// # Errors
/// When the program does not compile.
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

/// Builds all functions at once. The watcher would build each function only at its first call.
///
/// # Errors
/// When a function does not compile; the compiler has printed the reason.
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

/// Starts `cargo lambda watch` and waits until it listens.
///
/// # Errors
/// When the watcher does not listen in time.
pub fn start(settings: &Settings, template: &Template, log: &Log) -> Result<Process> {
    let command = watch_command(settings, template)?;
    // On SIGTERM the watcher gives its functions a second. After two, [`Process`] kills the
    // watcher.
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
    // The watcher runs cargo, and the variables of an outer cargo would cause a second compilation.
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
        // Hides cargo's "Running …" line before each function.
        .env("CARGO_TERM_QUIET", "true");
    if settings.release {
        command.arg("--release");
    }
    if !settings.reload {
        command.arg("--ignore-changes");
    }
    Ok(command)
}

/// Removes the terminal's AWS settings from a command's environment, so that the command cannot
/// reach a real account.
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

/// The variable with the program that cargo runs other programs through.
fn runner_variable() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Error::new("`rustc -vV` has no host line"))?;
    Ok(format!(
        "CARGO_TARGET_{}_RUNNER",
        host.to_uppercase().replace(['-', '.'], "_")
    ))
}

/// Cargo splits the variable's value at spaces; a path relative to the root has the fewest.
fn from_root(path: &Path) -> &Path {
    path.strip_prefix(project::root()).unwrap_or(path)
}

fn env_file(environment: &[(String, String)]) -> String {
    environment
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            // `cargo lambda watch` reads no `=` in a value without quotes.
            let _ = match value.contains('=') {
                true => writeln!(text, "{name}='{value}'"),
                false => writeln!(text, "{name}={value}"),
            };
            text
        })
}

/// Reads `NAME=value` lines, with or without single quotes around the value. Ignores empty lines and lines that start with `#`.
#[must_use]
pub fn parse_env(text: &str) -> Vec<(String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim()).to_owned()))
        .collect()
}

/// A value without its quotes.
fn unquoted(value: &str) -> &str {
    let inside = value.strip_prefix('\'');
    let inside = inside.and_then(|value| value.strip_suffix('\''));
    inside.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_env_reads_the_lines_of_env_file() {
        let environment = parse_env("# a comment\nA=1\n\nURL=http://x/?a=b\n EMPTY=\nnothing\n");
        let pairs = [("A", "1"), ("URL", "http://x/?a=b"), ("EMPTY", "")];
        assert_eq!(
            environment,
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(parse_env(&env_file(&environment)), environment);
    }

    #[test]
    fn the_runner_variable_has_the_form_that_cargo_reads() {
        let name = runner_variable().unwrap();
        assert!(name.starts_with("CARGO_TARGET_") && name.ends_with("_RUNNER"));
        assert!(
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        );
    }
}
