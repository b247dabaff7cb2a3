//! `cargo xtask openapi`: writes the document that the service serves.

use local_stack::{Error, Result, functions, process, project};

/// Writes `openapi.json` at the project's root. The test that compares it with the code knows what
/// it is to be, and writes it when it is asked to.
///
/// # Errors
/// When the functions do not compile, or what they say makes no document.
pub fn write() -> Result<()> {
    let mut command = functions::cargo();
    command
        .args(["test", "--quiet", "--test", "openapi"])
        .current_dir(project::root())
        .env("UPDATE_OPENAPI", "1");
    if process::run("the OpenAPI document", command)?.success() {
        println!("openapi.json is what the code says");
        return Ok(());
    }
    Err(Error::new(
        "openapi.json was not written: the messages above say why",
    ))
}
