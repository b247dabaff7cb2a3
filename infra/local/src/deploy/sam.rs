//! `sam build` and `sam deploy`, kept away from anybody's real account.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::aws::{Aws, expect};
use crate::error::{Context, Error, Result};
use crate::functions::{forget_aws, forget_outer_cargo};
use crate::process;
use crate::project;
use crate::setup::{DeployTools, Tools};
use crate::template::STACK;

/// The region that is deployed to.
pub const REGION: &str = "us-east-1";

/// Where SAM puts the packed functions.
const BUCKET: &str = "async-service-artifacts";

/// Compiles every function at once. SAM builds one after the other; what is
/// left for it then is a look whether anything changed.
///
/// # Errors
/// When they don't compile, or this machine cannot run what Lambda runs.
pub fn compile(tools: &Tools, release: bool) -> Result<()> {
    let mut command = Command::new(&tools.cargo_lambda);
    command.args(["lambda", "build", "--quiet", "--bins"]);
    if architecture()? == "arm64" {
        command.arg("--arm64");
    }
    if release {
        command.arg("--release");
    }
    prepare(&mut command, tools)?;
    if process::run("cargo lambda build", command)?.success() {
        return Ok(());
    }
    Err(Error::new(
        "the build of the functions failed: see the compiler's messages above",
    ))
}

/// Builds the functions the way a real deployment does.
///
/// # Errors
/// When SAM fails, with its last words.
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

/// Deploys what was built, and waits for the end of it.
///
/// # Errors
/// When SAM fails, with its last words.
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
    // Hundreds of megabytes that the next build makes anew.
    let _ = std::fs::remove_dir_all(build_folder(port));
    Ok(())
}

fn build_folder(port: u16) -> PathBuf {
    project::scratch(port).join("build")
}

/// This machine's architecture, as the template's parameter names it.
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

/// What SAM and cargo have in common: where the tools are, and no settings
/// that lead to a real account.
fn prepare(command: &mut Command, tools: &Tools) -> Result<()> {
    forget_aws(command);
    forget_outer_cargo(command);
    command
        .current_dir(project::root())
        .env("PATH", path_with(&tools.cargo_lambda)?)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("SAM_CLI_TELEMETRY", "0")
        // The functions run on this machine, so they need no older C library
        // and nothing to cross-compile with.
        .env("CARGO_LAMBDA_COMPILER", "cargo")
        // Nobody debugs these; without, they are a third of the size to pack.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols");
    Ok(())
}

/// The search path with the folder of `program` in front. Cargo finds
/// `cargo lambda` through it.
fn path_with(program: &Path) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = program.parent().filter(|folder| folder.is_absolute());
    let folders = own.map(Path::to_path_buf).into_iter();
    std::env::join_paths(folders.chain(std::env::split_paths(&path)))
        .context("the project's path cannot stand in PATH")
}

/// Runs SAM, which talks much, with its output in a file.
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
        "{name} failed: {} (all of it is in {})",
        reason(&said),
        path.display()
    )))
}

/// The line that says why.
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
    fn the_reason_is_sam_s_own_error() {
        let said = "Building …\nError: Template file not found\n\nTry --help\n";
        assert_eq!(reason(said), "Error: Template file not found");
        assert_eq!(reason("x\nTraceback\n\n"), "Traceback");
        assert_eq!(reason(""), "no reason given");
    }

    #[test]
    fn a_tool_s_folder_comes_first_in_the_path() {
        let path = path_with(Path::new("/p/.venv/bin/cargo-lambda")).unwrap();
        let first = std::env::split_paths(&path).next().unwrap();
        assert_eq!(first, Path::new("/p/.venv/bin"));
        let installed = path_with(Path::new("cargo-lambda")).unwrap();
        assert_eq!(Some(installed), std::env::var_os("PATH"));
    }
}
