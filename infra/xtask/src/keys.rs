//! `cargo xtask keys`: API keys, here and in an account.

use local_stack::keys::{self, Place};
use local_stack::{Error, Result, process};

/// Runs the program that makes, shows and revokes keys.
///
/// # Errors
/// When it does not compile, or fails; it has then said why.
pub fn run(place: &Place, words: &[String]) -> Result<()> {
    let command = keys::command(place, words)?;
    if process::run("keys", command)?.success() {
        return Ok(());
    }
    Err(Error::new(
        "nothing was done with keys: the line above says why",
    ))
}
