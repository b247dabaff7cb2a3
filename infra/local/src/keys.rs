//! API keys of the local service or of a stack in an AWS account. The program in `infra/keys`
//! creates, lists and revokes them.

use std::path::PathBuf;
use std::process::Command;

use crate::error::{Context, Error, Result};
use crate::functions::{forget_aws, forget_outer_cargo};
use crate::{functions, process, project, stack, template};

/// The region of the local endpoints.
const LOCAL_REGION: &str = "us-east-1";

/// The service whose keys are managed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The service at the AWS endpoints with this address on this machine.
    Local(String),
    /// The stack with this name, in the AWS account of the environment's credentials.
    Account(String),
}

impl Default for Place {
    fn default() -> Self {
        Self::Local(format!("http://127.0.0.1:{}", stack::AWS_PORT))
    }
}

/// Builds the program for keys, and returns its path.
///
/// # Errors
/// When the program does not compile.
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

/// A command that runs the program with these arguments.
///
/// # Errors
/// As [`build`].
pub fn command(place: &Place, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(build()?);
    command.args(arguments);
    forget_outer_cargo(&mut command);
    // Scripts read the output, so it must contain no log lines.
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
            // The program reads AWS_REGION only.
            if let (None, Some(region)) = (set("AWS_REGION"), set("AWS_DEFAULT_REGION")) {
                command.env("AWS_REGION", region);
            }
            stack
        }
    };
    command.env("API_KEYS_TABLE", format!("{stack}-api-keys"));
    Ok(command)
}

/// Creates a key and returns it.
///
/// # Errors
/// When the program fails; the error has the program's message.
pub fn create(place: &Place, name: &str, scopes: &str, more: &[&str]) -> Result<String> {
    let words = ["create", "--name", name, "--scopes", scopes];
    let arguments: Vec<String> = words.iter().chain(more).map(|&w| w.to_owned()).collect();
    output(place, &arguments)
}

/// Runs the program and returns its standard output.
///
/// # Errors
/// When the program fails; the error has the program's message.
pub fn output(place: &Place, arguments: &[String]) -> Result<String> {
    let output = command(place, arguments)?.output();
    let output = output.context("cannot run the program for keys")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(said.trim().trim_start_matches("error: ")))
}
