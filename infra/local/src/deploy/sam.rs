//! `sam build` and `sam deploy`, without access to real AWS accounts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::aws::{Aws, expect};
use crate::error::{Context, Error, Result};
use crate::functions::{forget_aws, forget_outer_cargo};
use crate::process::{self, Log, Process};
use crate::project;
use crate::setup::{DeployTools, Tools};
use crate::template::STACK;

/// The region of the local deployment.
pub const REGION: &str = "us-east-1";

/// The bucket of SAM's packaged functions.
const BUCKET: &str = "async-service-artifacts";

/// Compiles all functions at once. SAM builds one function after another; afterwards each of its
/// builds only checks for changes.
///
/// # Errors
/// When a function does not compile, or Lambda does not support this machine's architecture.
pub fn compile(tools: &Tools, release: bool) -> Result<()> {
    let command = compilation(Command::new(&tools.cargo_lambda), tools, release)?;
    if process::run("cargo lambda build", command)?.success() {
        return Ok(());
    }
    Err(Error::new(
        "the build of the functions failed: see the compiler's messages above",
    ))
}

/// Starts to compile all optimized functions at the lowest priority, beside other work: linking them takes
/// a quarter of an hour of processor time, and most tests wait. The compiler's messages go into `log`.
///
/// # Errors
/// When cargo cannot be started, or Lambda does not support this machine's architecture.
pub fn compile_beside(tools: &Tools, log: &Log) -> Result<Process> {
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(&tools.cargo_lambda);
    let command = compilation(command, tools, true)?;
    Process::start("cargo lambda build", command, log, Duration::ZERO)
}

/// The compilation of all functions by `program`, a cargo-lambda.
fn compilation(mut program: Command, tools: &Tools, release: bool) -> Result<Command> {
    program.args(["lambda", "build", "--quiet", "--bins"]);
    if architecture()? == "arm64" {
        program.arg("--arm64");
    }
    if release {
        program.arg("--release");
    }
    prepare(&mut program, tools)?;
    Ok(program)
}

/// Builds the functions with SAM, as for a real deployment.
///
/// # Errors
/// When SAM fails; the message has SAM's error line.
pub fn build(tools: &DeployTools, port: u16, release: bool) -> Result<()> {
    let mut command = Command::new(&tools.sam);
    command
        .args(["build", "--no-cached", "--template", "template.yaml"])
        .arg("--build-dir")
        .arg(build_folder(port))
        .args(["--region", REGION])
        .arg("--parameter-overrides")
        .arg(format!("Architecture={}", architecture()?));
    prepare(&mut command, &tools.run)?;
    if !release {
        command.env("SAM_BUILD_MODE", "debug");
    }
    run("sam build", command, port)
}

/// Deploys the built functions and waits for the end of the deployment.
///
/// # Errors
/// When SAM fails; the message has SAM's error line.
pub fn deploy(
    tools: &DeployTools,
    aws: &Aws,
    port: u16,
    parameters: &[(String, String)],
) -> Result<()> {
    expect("the creation of a bucket", aws.create_bucket(BUCKET)?)?;
    let mut command = Command::new(&tools.sam);
    command
        .arg("deploy")
        .arg("--template-file")
        .arg(build_folder(port).join("template.yaml"))
        .args(["--stack-name", STACK, "--region", REGION])
        .args(["--s3-bucket", BUCKET, "--capabilities", "CAPABILITY_IAM"])
        .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset"])
        .args(["--no-progressbar", "--parameter-overrides"])
        .arg(format!("Architecture={}", architecture()?))
        .args(
            parameters
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
    prepare(&mut command, &tools.run)?;
    command
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    run("sam deploy", command, port)?;
    // SAM's build folder has hundreds of megabytes, and the next build creates it again.
    let _ = std::fs::remove_dir_all(build_folder(port));
    Ok(())
}

fn build_folder(port: u16) -> PathBuf {
    project::scratch(port).join("build")
}

/// This machine's architecture, as a value of the template's parameter.
fn architecture() -> Result<&'static str> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            "the functions are built for Linux, and the local endpoints run them on this machine: \
             on other systems use `cargo xtask run`",
        ));
    }
    match std::env::consts::ARCH {
        "x86_64" => Ok("x86_64"),
        "aarch64" => Ok("arm64"),
        other => Err(Error::new(format!("Lambda has no {other} functions"))),
    }
}

/// Prepares a command of SAM or cargo: adds the tools' folder to PATH, and removes settings that
/// lead to a real account.
fn prepare(command: &mut Command, tools: &Tools) -> Result<()> {
    forget_aws(command);
    forget_outer_cargo(command);
    command
        .current_dir(project::root())
        .env("PATH", path_with(&tools.cargo_lambda)?)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("SAM_CLI_TELEMETRY", "0")
        // The functions run on this machine, so the build needs no older C library and no
        // cross-compiler.
        .env("CARGO_LAMBDA_COMPILER", "cargo")
        // Without debug information the functions are a third of the size, so SAM packages them
        // faster.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols");
    Ok(())
}

/// PATH with the folder of `program` in front. Cargo finds `cargo lambda` through PATH.
fn path_with(program: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = program.parent().filter(|folder| folder.is_absolute());
    let folders = own.map(Path::to_path_buf).into_iter();
    std::env::join_paths(folders.chain(std::env::split_paths(&path)))
        .context("the project's path cannot be a part of PATH")
}

/// Runs SAM with its long output in a file.
fn run(name: &str, mut command: Command, port: u16) -> Result<()> {
    let folder = project::scratch(port);
    std::fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
    let path = folder.join(format!("{}.log", name.replace(' ', "-")));
    let file = std::fs::File::create(&path);
    let file = file.context(format_args!("cannot write {}", path.display()))?;
    let again = file.try_clone().context("cannot share a file")?;
    command.stdout(file).stderr(again);
    if process::run(name, command)?.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    Err(Error::new(format!(
        "{name} failed: {} (the whole output is in {})",
        reason(&said),
        path.display()
    )))
}

/// The line of SAM's output that names the error.
fn reason(said: &str) -> &str {
    let lines = || {
        said.lines()
            .rev()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let error = lines().find(|line| line.starts_with("Error"));
    error
        .or_else(|| lines().next())
        .unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_error_line_of_sam() {
        let said = "Building …\nError: Template file not found\n\nTry --help\n";
        assert_eq!(reason(said), "Error: Template file not found");
        assert_eq!(reason("x\nTraceback\n\n"), "Traceback");
        assert_eq!(reason(""), "no reason given");
    }

    #[test]
    fn the_folder_of_a_tool_is_first_in_path() {
        let path = path_with(Path::new("/p/.venv/bin/cargo-lambda")).unwrap();
        let first = std::env::split_paths(&path).next().unwrap();
        assert_eq!(first, Path::new("/p/.venv/bin"));
        let installed = path_with(Path::new("cargo-lambda")).unwrap();
        assert_eq!(Some(installed), std::env::var_os("PATH"));
    }
}
