//! `cargo xtask keys`: API keys of the local service or of a stack in an AWS account.

use local_stack::keys::{self, Place};
use local_stack::{Error, Result, process};

/// Runs the program that creates, lists and revokes keys.
///
/// # Errors
/// When the program does not compile or fails; the reason is printed before.
pub fn run(place: &Place, words: &[String]) -> Result<()> {
    let command = keys::command(place, words)?;
    if process::run("keys", command)?.success() {
        return Ok(());
    }
    Err(Error::new("no key was changed: see the message above"))
}
