//! API keys of a local service, and of one in an account, through the program
//! that knows how they are stored.

use std::path::PathBuf;
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::functions::{forget_aws, forget_outer_cargo};
use crate::{functions, process, project, stack, template};

/// The region of the local endpoints.
const LOCAL_REGION: &str = "us-east-1";

/// Where keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the AWS endpoints at this address on this machine.
    Local(String),
    /// In the stack of this name, in the account that the environment leads to.
    Account(String),
}

impl Default for Place {
    fn default() -> Self {
        Self::Local(format!("http://127.0.0.1:{}", stack::AWS_PORT))
    }
}

/// Builds the program, and returns where it is.
///
/// # Errors
/// When it does not compile.
pub fn build() -> Result<PathBuf> {
    let mut command = functions::cargo();
    command.args(["build", "--quiet", "--package", "keys"]);
    if process::run("cargo", command)?.success() {
        return Ok(project::target().join("debug").join("keys"));
    }
    Err(Error::new(
        "the build of the program for keys failed: see the compiler's messages above",
    ))
}

/// The program with these arguments, ready to run.
///
/// # Errors
/// As [`build`].
pub fn command(place: &Place, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(build()?);
    command.args(arguments);
    forget_outer_cargo(&mut command);
    // No line of the log is to stand among what a script reads.
    command.env("RUST_LOG", "off");
    let stack = match place {
        Place::Local(endpoint) => {
            forget_aws(&mut command);
            command
                .env("AWS_ENDPOINT_URL", endpoint)
                .env("AWS_REGION", LOCAL_REGION)
                .env("AWS_ACCESS_KEY_ID", "test")
                .env("AWS_SECRET_ACCESS_KEY", "test");
            template::STACK
        }
        Place::Account(stack) => {
            let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
            // The program knows the first of the two alone.
            if let (None, Some(region)) = (set("AWS_REGION"), set("AWS_DEFAULT_REGION")) {
                command.env("AWS_REGION", region);
            }
            stack
        }
    };
    command.env("API_KEYS_TABLE", format!("{stack}-api-keys"));
    Ok(command)
}

/// Makes a key and returns it.
///
/// # Errors
/// When the program fails, with what it said.
pub fn create(place: &Place, name: &str, scopes: &str, more: &[&str]) -> Result<String> {
    let words = ["create", "--name", name, "--scopes", scopes];
    let arguments: Vec<String> = words.iter().chain(more).map(|&w| w.to_owned()).collect();
    output(place, &arguments)
}

/// Runs the program and returns what it prints.
///
/// # Errors
/// When it fails, with what it said.
pub fn output(place: &Place, arguments: &[String]) -> Result<String> {
    let output = command(place, arguments)?.output();
    let output = output.context("cannot run the program for keys")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(said.trim().trim_start_matches("error: ")))
}
